"""Snapshot of everything that a training step may change, which can be restored bit by bit.

A copy of the model would not work: BasicSR's optimisers have their `step` wrapped by a scheduler that keeps a reference
to the original, hooks and closures refer to it too, and networks with weight norm cannot be copied at all. So the
model's own objects are used, and restored.
"""

from __future__ import annotations

import array
import io
import os
from collections import deque
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from functools import partial
from itertools import chain
from types import CellType, GeneratorType
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from mg_basicsr.training.seeding import untouched_generators
from mg_basicsr.training.state import (
    data_of_class,
    data_of_module,
    generator_state,
    holds_state,
    is_iterator,
    modules_of,
    position,
    reachable,
    slot_names,
    slots_of,
    twin,
)
from mg_basicsr.training.trial.silence import noted_files, silent_logs

Undo = Callable[[], object]


class Snapshot:
    """Snapshot of all that can be reached from some objects: tensors, containers, attributes, iterators, generators.

    Tensors are copied to main memory. Each storage is copied once, whole, so that views and shared weights are restored
    correctly. Gradients, `requires_grad` and the identity of every attribute are kept too, but for iterators: others at
    the same position take their places. What is followed is in mg_basicsr/training/state.py; variables of the modules
    that define the objects are kept as well. Files that are open for writing get their lengths back.

    Args:
        roots: Objects to start from.

    Attributes:
        lost: Kinds of objects that `restore` could not put back, though they have changed or may have.
    """

    def __init__(self, *roots: Any) -> None:
        self.lost: set[str] = set()
        self._undo: list[Undo] = []
        self._storages: set[tuple[torch.device, int]] = set()
        self._spares: dict[int, tuple[Any, Any]] = {}  # iterators, and twins of them that nobody advances
        self._twins: dict[int, Any] = {}
        self._kept_alive = []
        found = list(reachable(*roots))
        modules = modules_of(found)
        # what the modules keep beside the objects: counters, lists, generators
        states = [
            value for module in modules.values() for value in data_of_module(module).values() if holds_state(value)
        ]
        known = set(map(id, found))
        for value in [*found, *(value for value in reachable(*states) if id(value) not in known)]:
            self._kept_alive.append(value)
            self._record(value)
        for module in modules.values():
            self._record_numbers(vars(module))

    @torch.no_grad()
    def restore(self) -> None:
        """Restore everything. Can be called again."""
        self._twins = {number: twin(spare) for number, (_, spare) in self._spares.items()}
        for undo in self._undo:
            undo()

    def _record(self, value: Any) -> None:
        """Record how one object is restored."""
        if isinstance(value, torch.Tensor):
            self._record_tensor(value)
        elif isinstance(value, MutableMapping):
            self._record_mapping(value)
        elif isinstance(value, (list, deque, set)):
            self._record_collection(value)
        elif isinstance(value, np.ndarray):
            self._undo.append(partial(np.copyto, value, value.copy()))
        elif isinstance(value, (bytearray, array.array)):
            self._undo.append(partial(value.__setitem__, slice(None), value[:]))
        elif isinstance(value, GeneratorType):
            self._undo.append(partial(self._compare, value, position(value)))
        elif is_iterator(value):
            self._record_iterator(value)
        elif isinstance(value, (io.BytesIO, io.StringIO)):
            self._undo.append(partial(_rewrite, value, value.getvalue(), value.tell()))
        elif isinstance(value, io.IOBase):
            self._record_file(value)
        elif undo := generator_state(value):
            self._undo.append(undo)
        elif isinstance(value, CellType):
            self._record_attributes(value, {'cell_contents': value.cell_contents}, {'cell_contents'})
        elif isinstance(value, type):
            kept = data_of_class(value)
            self._record_attributes(value, kept, set(kept))
        else:
            self._record_attributes(value, slots_of(value), slot_names(value))

    def _record_iterator(self, value: Any) -> None:
        try:
            self._spares[id(value)] = value, twin(value)
        except (TypeError, AttributeError):
            self.lost.add(type(value).__name__)

    def _record_file(self, value: Any) -> None:
        """Record the length of a file that is open for writing, and the position in any."""
        try:
            if value.fileno() <= 2:  # the streams of the process may be shared with others
                return
            if value.writable():
                value.flush()
            position, length = value.tell(), os.fstat(value.fileno()).st_size
        except (OSError, ValueError):  # closed, a pipe or a terminal
            return

        def undo() -> None:
            if value.closed:
                self.lost.add('file that was closed')
                return
            if value.writable():
                value.flush()
                os.ftruncate(value.fileno(), length)
            value.seek(position)

        self._undo.append(undo)

    def _record_numbers(self, variables: dict[str, Any]) -> None:
        """Record numbers among a module's variables: others, such as flags, may belong to what was made meanwhile."""
        kept = {name: value for name, value in variables.items() if type(value) in (int, float)}

        def undo() -> None:
            for name, value in kept.items():
                if type(variables.get(name)) in (int, float):
                    variables[name] = value

        self._undo.append(undo)

    def _compare(self, value: Any, then: Any) -> None:
        if position(value) != then:
            self.lost.add(type(value).__name__)

    def _now(self, value: Any) -> Any:
        """Return what takes a kept value's place: itself, but for an iterator."""
        return self._twins.get(id(value), value)

    def _record_attributes(self, value: Any, kept: dict[str, Any], names: set[str]) -> None:
        def undo() -> None:
            for name in names:
                then = self._now(kept[name]) if name in kept else None
                if name in kept and getattr(value, name, None) is not then:
                    object.__setattr__(value, name, then) if not isinstance(value, type) else setattr(value, name, then)
                elif name not in kept and hasattr(value, name):
                    object.__delattr__(value, name)

        if names:
            self._undo.append(undo)

    def _record_tensor(self, value: torch.Tensor) -> None:
        alias, gradient, flag = value.detach(), value.grad if value.is_leaf else None, value.requires_grad

        def undo() -> None:
            if value.data_ptr() != alias.data_ptr() or value.shape != alias.shape:
                value.data = alias
            if value.is_leaf:
                value.requires_grad_(flag)
                value.grad = gradient

        self._undo.append(undo)
        if alias.layout == torch.strided:
            storage = alias.untyped_storage()
            place = storage.device, storage.data_ptr()
            if place not in self._storages:
                self._storages.add(place)
                kept = storage.clone() if storage.device.type == 'cpu' else storage.cpu()
                self._undo.append(partial(storage.copy_, kept))

    def _record_mapping(self, value: MutableMapping[Any, Any]) -> None:
        kept = dict(value)

        def undo() -> None:
            then = {key: self._now(item) for key, item in kept.items()}
            pairs = zip(chain.from_iterable(value.items()), chain.from_iterable(then.items()), strict=False)
            # by identity: keys may be tensors, as those of an optimiser's state
            if len(value) != len(then) or any(a is not b for a, b in pairs):
                value.clear()
                value.update(then)

        self._undo.append(undo)

    def _record_collection(self, value: Any) -> None:
        kept = list(value)

        def undo() -> None:
            value.clear()
            (value.update if isinstance(value, set) else value.extend)(map(self._now, kept))

        self._undo.append(undo)


def _rewrite(value: Any, content: Any, position: int) -> None:
    value.seek(0)
    value.truncate()
    value.write(content)
    value.seek(position)


@contextmanager
def on_trial(model: Any, *others: Any) -> Iterator[Snapshot]:
    """Undo, after the body of the context, all changes by training steps of a model: weights, gradients, statistics.

    Random generators are restored too. Rates are zero in the body, so that any number of steps keeps the weights in
    range. Ranks exchange nothing: each network is used without its DistributedDataParallel, and with new parameters,
    which have none of the wrapper's hooks. So a rank that fails leaves no other waiting, and the wrapper's records for
    its first iteration are not changed.

    After an exception nothing is restored: the process is expected to end. Nothing is logged meanwhile.

    Args:
        model: The model, its optimisers set up.
        others: Further objects that the model's step may change, such as its arguments.

    Yields:
        The snapshot. After the body, its `lost` names what could not be restored.
    """
    snapshot = Snapshot(model, *others)
    with untouched_generators(), silent_logs(), noted_files() as written:
        _leave_ranks(model)
        for optimizer in model.optimizers:
            for group in optimizer.param_groups:
                group['lr'] = 0.0
        yield snapshot
        snapshot.restore()
    snapshot.lost |= {f'file {path}' for path in written}


def _leave_ranks(model: Any) -> None:
    """Use the model's networks without their DistributedDataParallel, and with twins of their parameters."""
    twins: dict[Any, nn.Parameter] = {}
    for name, value in list(vars(model).items()):
        if isinstance(value, DistributedDataParallel):
            setattr(model, name, value.module)
            _replace_parameters(value.module, twins)
    if not twins:
        return
    model.opt['dist'] = False  # otherwise BasicSR averages the logged losses over the ranks
    for optimizer in model.optimizers:
        for group in optimizer.param_groups:
            group['params'] = [twins.get(parameter, parameter) for parameter in group['params']]
        state = {twins.get(parameter, parameter): value for parameter, value in optimizer.state.items()}
        optimizer.state.clear()
        optimizer.state.update(state)


def _replace_parameters(network: nn.Module, twins: dict[Any, nn.Parameter]) -> None:
    for module in network.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None and parameter not in twins:
                twins[parameter] = nn.Parameter(parameter.detach().clone(), parameter.requires_grad)
            if parameter is not None:
                module._parameters[name] = twins[parameter]

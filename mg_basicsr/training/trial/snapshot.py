"""Snapshot of everything that a training step may change, which can be restored bit by bit.

A copy of the model would not work: BasicSR's optimisers have their `step` wrapped by a scheduler that keeps a reference
to the original, hooks and closures refer to it too, and networks with weight norm cannot be copied at all. So the
model's own objects are used, and restored.
"""

from __future__ import annotations

import random
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from functools import partial
from itertools import chain
from types import FunctionType, MethodType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from mg_basicsr.training.seeding import untouched_generators

Undo = Callable[[], None]

_ATOMS = (type(None), bool, int, float, complex, str, bytes, type, FunctionType, ModuleType, torch.device, torch.dtype)


class Snapshot:
    """Snapshot of all that can be reached from some objects: tensors, arrays, containers, attributes, generators.

    Tensors are copied to main memory. Each storage is copied once, whole, so that views and shared weights are restored
    correctly. Gradients, `requires_grad` and the identity of every attribute are kept too. Not followed: functions and
    their closures, classes, modules of Python, and objects of the standard library other than its containers.

    Args:
        roots: Objects to start from.
    """

    def __init__(self, *roots: Any) -> None:
        self._undo: list[Undo] = []
        self._seen: dict[int, Any] = {}  # holds the objects, so that no other one gets the id of a deleted one
        self._storages: set[tuple[torch.device, int]] = set()
        waiting: list[Any] = list(roots)
        while waiting:
            value = waiting.pop()
            if not isinstance(value, _ATOMS) and id(value) not in self._seen:
                self._seen[id(value)] = value
                waiting.extend(self._record(value))

    @torch.no_grad()
    def restore(self) -> None:
        """Restore everything. Can be called again."""
        for undo in self._undo:
            undo()

    def _record(self, value: Any) -> Iterable[Any]:
        """Record how one object is restored, and return the objects that it holds."""
        if isinstance(value, torch.Tensor):
            return self._record_tensor(value)
        if isinstance(value, MutableMapping):
            return self._record_mapping(value)
        if isinstance(value, (list, deque, set)):
            return self._record_collection(value)
        if isinstance(value, (tuple, frozenset)):
            return value
        if isinstance(value, MethodType):
            return (value.__self__,)
        if isinstance(value, partial):
            return (value.func, value.args, value.keywords)
        if isinstance(value, np.ndarray):
            array = value.copy()
            self._undo.append(lambda: np.copyto(value, array))
            return ()
        if undo := _generator_state(value):
            self._undo.append(undo)
            return ()
        top = type(value).__module__.partition('.')[0]
        if not hasattr(value, '__dict__') or (top in sys.stdlib_module_names and type(value) is not SimpleNamespace):
            return ()
        return (vars(value),)

    def _record_tensor(self, value: torch.Tensor) -> Iterable[Any]:
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
                self._undo.append(partial(_ignoring_result, storage.copy_, kept))
        return () if gradient is None else (gradient,)

    def _record_mapping(self, value: MutableMapping[Any, Any]) -> Iterable[Any]:
        kept = dict(value)

        def undo() -> None:
            now, then = chain.from_iterable(value.items()), chain.from_iterable(kept.items())
            # By identity: keys and values may be tensors, as in an optimiser's state, and `!=` of tensors is a tensor.
            if len(value) != len(kept) or any(a is not b for a, b in zip(now, then, strict=True)):
                value.clear()
                value.update(kept)

        self._undo.append(undo)
        return [*kept, *kept.values(), getattr(value, '__dict__', None)]

    def _record_collection(self, value: Any) -> Iterable[Any]:
        kept = list(value)

        def undo() -> None:
            value.clear()
            (value.update if isinstance(value, set) else value.extend)(kept)

        self._undo.append(undo)
        return kept


def _ignoring_result(setter: Callable[[Any], Any], state: Any) -> None:
    setter(state)


def _generator_state(value: Any) -> Undo | None:
    if isinstance(value, random.Random):
        return partial(value.setstate, value.getstate())
    if isinstance(value, np.random.RandomState):
        return partial(value.set_state, value.get_state())
    if isinstance(value, np.random.Generator):
        bits, state = value.bit_generator, value.bit_generator.state
        return partial(setattr, bits, 'state', state)
    if isinstance(value, torch.Generator):
        return partial(_ignoring_result, value.set_state, value.get_state())
    return None


@contextmanager
def on_trial(model: Any, *others: Any) -> Iterator[None]:
    """Undo, after the body of the context, all changes by training steps of a model: weights, gradients, statistics.

    Random generators are restored too. Rates are zero in the body, so that any number of steps keeps the weights in
    range. Ranks exchange nothing: each network is used without its DistributedDataParallel, and with new parameters,
    which have none of the wrapper's hooks. So a rank that fails leaves no other waiting, and the wrapper's records for
    its first iteration are not changed.

    After an exception nothing is restored: the process is expected to end.

    Args:
        model: The model, its optimisers set up.
        others: Further objects that the model's step may change, such as its arguments.
    """
    snapshot = Snapshot(model, *others)
    with untouched_generators():
        _leave_ranks(model)
        for optimizer in model.optimizers:
            for group in optimizer.param_groups:
                group['lr'] = 0.0
        yield
        snapshot.restore()


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

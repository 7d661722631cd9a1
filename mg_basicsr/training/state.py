"""State in objects of training code: the one list that trials, skipped steps and seeding use.

`reachable` finds the objects, `held_by` says what each holds. `Statistics` are the part that a forward pass changes in
networks and losses, `generators_in` the part that draws random numbers.
"""

from __future__ import annotations

import random
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from functools import partial
from types import CellType, FunctionType, GeneratorType, MethodType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import nn

_ATOMS = (type(None), bool, int, float, complex, str, bytes, ModuleType, torch.device, torch.dtype)
_LIBRARIES = ('torch', 'torchvision', 'numpy', 'mg_basicsr')  # their functions and classes keep no state of a model
_ITERATORS = ('builtins', 'itertools')
_OF_MODULES = frozenset(vars(nn.Module()))  # attributes that every module has


def reachable(*roots: Any) -> Iterator[Any]:
    """Yield every object that may have a state and can be reached from some others, each once.

    Followed are containers, attributes, slots, bound methods, and what functions and classes of the repository keep.
    Not followed are modules of Python, and objects of the standard library other than its containers.
    """
    seen: dict[int, Any] = {}  # keeps what was seen alive, so that no other object gets its id
    waiting: list[Any] = list(roots)
    while waiting:
        value = waiting.pop()
        if not isinstance(value, _ATOMS) and id(value) not in seen:
            seen[id(value)] = value
            yield value
            waiting.extend(held_by(value))


def held_by(value: Any) -> Iterable[Any]:
    """Return what an object holds directly. The attributes of an object are one of its holdings: the dictionary."""
    if isinstance(value, torch.Tensor):
        return () if not value.is_leaf or value.grad is None else (value.grad,)
    if isinstance(value, MutableMapping):
        return [*value, *value.values(), getattr(value, '__dict__', None)]
    if isinstance(value, (list, deque, set, tuple, frozenset)):
        return [*value, getattr(value, '__dict__', None)]
    if isinstance(value, MethodType):
        return (value.__self__,)
    if isinstance(value, partial):
        return (value.func, value.args, value.keywords)
    if isinstance(value, CellType):
        return [value.cell_contents] if _is_filled(value) else ()
    if isinstance(value, FunctionType):
        if _is_library(value.__globals__.get('__name__', '')):
            return ()
        return [*(value.__closure__ or ()), value.__defaults__, value.__kwdefaults__, vars(value)]
    if isinstance(value, type):
        return () if _is_library(value.__module__) else [*data_of_class(value).values(), *value.__bases__]
    module = type(value).__module__
    if module in sys.stdlib_module_names or module.partition('.')[0] in sys.stdlib_module_names:
        return (vars(value),) if type(value) is SimpleNamespace else ()
    return [getattr(value, '__dict__', None), *slots_of(value).values(), type(value)]


def data_of_class(cls: type) -> dict[str, Any]:
    """Return the attributes of a class that are neither methods nor other descriptors."""
    return {
        name: value
        for name, value in vars(cls).items()
        if not name.startswith('__') and not callable(value) and not hasattr(type(value), '__get__')
    }


def slots_of(value: Any) -> dict[str, Any]:
    """Return what is in the slots of an object: those of its classes that are filled."""
    names = {name for cls in type(value).__mro__ for name in _names(vars(cls).get('__slots__', ())) if name[:2] != '__'}
    return {name: getattr(value, name) for name in sorted(names) if hasattr(value, name)}


def slot_names(value: Any) -> set[str]:
    """Return the names of an object's slots, filled or not."""
    return {name for cls in type(value).__mro__ for name in _names(vars(cls).get('__slots__', ())) if name[:2] != '__'}


def _names(slots: Any) -> Iterable[str]:
    return (slots,) if isinstance(slots, str) else slots


def _is_filled(cell: CellType) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True


def _is_library(module: str) -> bool:
    top = module.partition('.')[0]
    return top in _LIBRARIES or top in sys.stdlib_module_names


def is_iterator(value: Any) -> bool:
    """Whether an object is an iterator of Python itself, whose position is its state."""
    return hasattr(value, '__next__') and type(value).__module__ in _ITERATORS


def twin(iterator: Any) -> Any:
    """Return an iterator of Python itself at the same position over the same objects.

    Raises:
        TypeError: there is none of this kind, such as of a generator.
    """
    make, arguments, *state = iterator.__reduce__()
    copied = make(*[twin(item) if is_iterator(item) else item for item in arguments])
    if state and state[0] is not None:
        parts = state[0] if isinstance(state[0], tuple) else None
        copied.__setstate__(
            state[0] if parts is None else tuple(list(item) if isinstance(item, list) else item for item in parts)
        )
    return copied


def position(generator: GeneratorType[Any, Any, Any]) -> Any:
    """Return a value that changes when a generator is advanced."""
    frame = generator.gi_frame
    return None if frame is None else (frame.f_lasti, [(name, id(item)) for name, item in frame.f_locals.items()])


def generator_state(value: Any) -> Callable[[], Any] | None:
    """Return what puts a generator of random numbers back to where it is now; None for any other object."""
    if isinstance(value, random.Random):
        return partial(value.setstate, value.getstate())
    if isinstance(value, np.random.RandomState):
        return partial(value.set_state, value.get_state())
    if isinstance(value, np.random.Generator):
        bits, state = value.bit_generator, value.bit_generator.state
        return partial(setattr, bits, 'state', state)
    if isinstance(value, torch.Generator):
        return partial(value.set_state, value.get_state())
    return None


class Statistics:
    """State that passes leave in networks and losses beside their parameters: buffers, tensors, numbers as attributes.

    Those of the modules themselves, and of objects that replace their methods (sub-batch norm's forward). Large
    buffers of integers are tables that no pass changes.

    Args:
        modules: Networks and losses, their parts included.
    """

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        self._holders: list[dict[str, Any]] = []
        for module in {id(part): part for root in modules for part in root.modules()}.values():
            self._holders += [module._buffers, vars(module)]
            for name, value in vars(module).items():
                owner = value.__self__ if isinstance(value, MethodType) else value
                plain = name not in _OF_MODULES and not isinstance(owner, (nn.Module, type, FunctionType, *_ATOMS))
                if plain and hasattr(owner, '__dict__') and not isinstance(owner, torch.Tensor):
                    self._holders.append(vars(owner))

    def kept(self) -> list[tuple[dict[str, Any], str, Any, Any]]:
        """Return copies, for `put_back`."""
        found: list[tuple[dict[str, Any], str, Any, Any]] = []
        for holder in self._holders:
            for name, value in holder.items():
                if isinstance(value, torch.Tensor):
                    is_small = value.is_floating_point() or value.numel() == 1
                    if is_small and value.grad_fn is None and not isinstance(value, nn.Parameter):
                        found.append((holder, name, value, value.detach().clone()))
                elif isinstance(value, (int, float)):
                    found.append((holder, name, value, value))
        return found

    @staticmethod
    @torch.no_grad()
    def put_back(kept: list[tuple[dict[str, Any], str, Any, Any]]) -> None:
        """Restore what `kept` returned."""
        for holder, name, value, copied in kept:
            if isinstance(value, torch.Tensor):
                value.detach().copy_(copied)
            if holder.get(name) is not value:
                holder[name] = value


def not_a_number(*roots: Any) -> int:
    """Return how many tensors that can be reached hold a NaN, gradients and results of a pass left out."""
    gradients = {id(value.grad) for value in reachable(*roots) if isinstance(value, torch.Tensor) and value.is_leaf}
    return sum(
        bool(value.isnan().any())
        for value in reachable(*roots)
        if isinstance(value, torch.Tensor) and value.is_floating_point() and value.grad_fn is None
        if id(value) not in gradients
    )

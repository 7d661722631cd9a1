"""State in objects of training code: the one list that trials, skipped steps, seeding and checkpoints use.

`reachable` finds the objects, `held_by` says what each holds, `modules_of` in which modules of the repository they are
defined. `generators_in` are those that draw random numbers.
"""

from __future__ import annotations

import array
import random
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from functools import partial
from itertools import islice
from types import BuiltinMethodType, CellType, FunctionType, GeneratorType, MethodType, ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch

from mg_basicsr.training.loss_log import LossLog, Unread

_ATOMS = (type(None), bool, int, float, complex, str, bytes, ModuleType, torch.device, torch.dtype, LossLog, Unread)
_LIBRARIES = ('torch', 'torchvision', 'numpy', 'mg_basicsr')  # their functions and classes keep no state of a model
MOST_OBJECTS = 1_000_000  # that a search for generators looks at: about two seconds
MOST_ENTRIES = 10_000
_ITERATORS = ('builtins', 'itertools')
_PLAIN = ('types', 'argparse', 'collections', 'queue')  # modules of the standard library whose objects only hold others
_INSTALLED = ('site-packages', 'dist-packages')


def reachable(*roots: Any, entries: int | None = None) -> Iterator[Any]:
    """Yield every object that may have a state and can be reached from some others, each once.

    Args:
        roots: The others.
        entries: Most entries of a container that are followed, numbers and text not counted; all by default.

    Followed are containers, attributes, slots, bound methods, and what functions and classes of the repository keep.
    Not followed are modules, and objects of the standard library other than its containers.
    """
    seen: dict[int, Any] = {}  # keeps what was seen alive, so that no other object gets its id
    waiting: list[Any] = list(roots)
    while waiting:
        value = waiting.pop()
        if not is_atom(value) and id(value) not in seen:
            seen[id(value)] = value
            yield value
            held = [item for item in held_by(value) if not isinstance(item, _ATOMS)]
            waiting.extend(held if entries is None else held[:entries])


def is_atom(value: Any) -> bool:
    """Whether an object has no state: a number, text, a module."""
    return isinstance(value, _ATOMS)


def held_by(value: Any) -> Iterable[Any]:
    """Return what an object holds directly. The attributes of an object are one of its holdings: the dictionary."""
    if isinstance(value, torch.Tensor):
        return () if not value.is_leaf or value.grad is None else (value.grad,)
    if isinstance(value, MutableMapping):
        return [*value, *value.values(), getattr(value, '__dict__', None)]
    if isinstance(value, (list, deque, set, tuple, frozenset)):
        return [*value, getattr(value, '__dict__', None)]
    if isinstance(value, (MethodType, BuiltinMethodType)):
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
    module: object = type(value).__module__
    if module == 'queue' and is_used_by_a_thread(value):
        return ()
    if not isinstance(module, str):
        return ()
    if module in sys.stdlib_module_names or module.partition('.')[0] in sys.stdlib_module_names:
        return (vars(value),) if module in _PLAIN and hasattr(value, '__dict__') else ()
    return [getattr(value, '__dict__', None), *slots_of(value).values(), type(value)]


def is_used_by_a_thread(value: Any) -> bool:
    """Whether a thread beside the main one works on an object, such as a queue of events that are to be written.

    Its state is not that of the code on trial: put back, the thread would find what it has taken already.
    """
    others = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    return any(held is value for thread in others for held in _held_by_thread(thread))


def _held_by_thread(thread: threading.Thread) -> Iterator[Any]:
    """Yield the attributes of a thread, the arguments of its function, and the attributes of that method's object."""
    attributes = dict(vars(thread))
    yield from attributes.values()
    yield from attributes.get('_args') or ()
    yield from (attributes.get('_kwargs') or {}).values()
    yield from list(getattr(getattr(attributes.get('_target'), '__self__', None), '__dict__', {}).values())


def modules_of(values: Iterable[Any]) -> dict[str, ModuleType]:
    """Return the modules of the repository that define the classes or functions of some objects, by name."""
    found: dict[str, ModuleType] = {}
    for value in values:
        name = getattr(value if isinstance(value, (type, FunctionType)) else type(value), '__module__', None)
        if isinstance(name, str) and name not in found and name in sys.modules and not _is_library(name):
            module = sys.modules[name]
            if not any(part in (getattr(module, '__file__', None) or '') for part in _INSTALLED):
                found[name] = module
    return found


def data_of_module(module: ModuleType) -> dict[str, Any]:
    """Return the variables of a module that are neither functions, classes, nor modules."""
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith('__') and not isinstance(value, (FunctionType, type, ModuleType))
    }


def holds_state(value: Any) -> bool:
    """Whether an object is of a kind that holds a state by itself: a container, a tensor, an iterator, a generator."""
    kinds = (list, dict, set, deque, bytearray, array.array, np.ndarray, torch.Tensor, GeneratorType)
    return isinstance(value, kinds) or is_iterator(value) or generator_state(value) is not None


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


def _is_library(module: object) -> bool:
    if not isinstance(module, str):  # a class of a proxy, whose module is a descriptor for that of what it stands for
        return True
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
    if isinstance(value, random.SystemRandom):  # it has none
        return None
    if isinstance(value, random.Random):
        return partial(value.setstate, value.getstate())
    if isinstance(value, np.random.RandomState):
        return partial(value.set_state, value.get_state())
    if isinstance(value, (np.random.Generator, np.random.BitGenerator)):
        bits = bits_of(value)
        return partial(setattr, bits, 'state', bits.state)
    if isinstance(value, torch.Generator):
        return partial(value.set_state, value.get_state())
    return None


def bits_of(value: np.random.Generator | np.random.BitGenerator) -> np.random.BitGenerator:
    """Return the bit generator, which has the state, of one of NumPy's generators."""
    return value.bit_generator if isinstance(value, np.random.Generator) else value


class FoundGenerators(NamedTuple):
    """Generators of random numbers that objects hold.

    Attributes:
        found: The generators, in an order that only depends on how the objects are built.
        complete: Whether all objects were looked at.
    """

    found: list[Any]
    complete: bool


def generators_in(*roots: Any) -> FoundGenerators:
    """Look for the generators of random numbers that objects hold.

    Those of modules that define the objects' classes are among them, and those of modules whose functions these use.
    The global generators of Python, NumPy and torch are not. Of a container with more than MOST_ENTRIES entries beside
    numbers and text, such as a list of samples, only the first are followed, and after MOST_OBJECTS objects the search
    ends.
    """
    found: list[Any] = []
    looked_at = 0
    seen = {id(value) for value in _global_generators()}
    modules: dict[str, ModuleType] = {}
    waiting: list[Any] = list(roots)
    while waiting:
        values = list(islice(reachable(*waiting, entries=MOST_ENTRIES), MOST_OBJECTS - looked_at))
        looked_at += len(values)
        for value in values:
            if id(value) not in seen and generator_state(value) is not None:
                seen.add(id(value))
                found.append(value)
        new = {name: module for name, module in modules_of(values).items() if name not in modules}
        modules |= new
        waiting = [value for _, module in sorted(new.items()) for value in _variables(module)]
    return FoundGenerators(found, looked_at < MOST_OBJECTS)


def _variables(module: ModuleType) -> list[Any]:
    """Return the variables of a module, without those of the import system: its loader may hold a whole program."""
    return [value for name, value in vars(module).items() if not name.startswith('__')]


def _global_generators() -> list[Any]:
    python = getattr(random, '_inst', None)
    numpy = getattr(np.random.mtrand, '_rand', None)
    return [
        python,
        numpy,
        getattr(numpy, '_bit_generator', None),
        torch.default_generator,
        *torch.cuda.default_generators,
    ]


def not_a_number(*roots: Any) -> int:
    """Return how many tensors that can be reached hold a NaN, gradients and results of a pass left out."""
    gradients = {id(value.grad) for value in reachable(*roots) if isinstance(value, torch.Tensor) and value.is_leaf}
    return sum(
        bool(value.isnan().any())
        for value in reachable(*roots)
        if isinstance(value, torch.Tensor) and value.is_floating_point() and value.grad_fn is None
        if id(value) not in gradients
    )

"""The only way in which this package changes attributes of modules, classes and objects that are not its own.

Every change is recorded with its reason, so that all that are in force can be listed and undone.

    wrap(module.BaseModel, 'validation', make, 'a signal ends a validation')
    for patch in in_force():
        print(patch)
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, NamedTuple

from mg_basicsr.errors import ConfigError, Problem

Function = Callable[..., Any]

_REASONS = '_mg_basicsr_patches'  # attribute of a replacement: why it and what lies below it were put in place


class Patch(NamedTuple):
    """One attribute that was replaced.

    Attributes:
        owner: Returns the module, class or object; None once an object is gone.
        name: The attribute.
        reason: Why it was replaced; also what keeps a second replacement for the same reason out.
        original: What was there; None together with `inherited`.
        inherited: The owner had the attribute from a class, so that undoing it deletes the owner's own.
        place: The attribute's full name, for people.
    """

    owner: Callable[[], Any]
    name: str
    reason: str
    original: Any
    inherited: bool
    place: str

    def __str__(self) -> str:
        return f'{self.place}: {self.reason}'


_in_force: list[Patch] = []


def wrap(owner: Any, name: str, make: Callable[[Function], Function], reason: str, *, required: bool = False) -> bool:
    """Puts `make(original)` in the place of the function `owner.name`. A second time for the same reason does nothing.

    Args:
        owner: A module, class or object; None where a repository lacks it.
        name: The attribute.
        make: From the original function to its replacement, which gets the original's name and docstring.
        reason: What the replacement is for, in a few words.
        required: The package cannot work without this attribute.

    Returns:
        Whether the function is wrapped now: False where the owner lacks it.

    Raises:
        ConfigError: it is required and missing; the owner is named.
    """
    original = getattr(owner, name, None)
    if original is None:
        if required:
            raise ConfigError(_missing(owner, name, reason))
        return False
    if reason in getattr(original, _REASONS, ()):
        return True
    replacement = functools.wraps(original)(make(original))
    setattr(replacement, _REASONS, (*getattr(original, _REASONS, ()), reason))
    replace(owner, name, replacement, reason)
    return True


def replace(owner: Any, name: str, value: Any, reason: str) -> None:
    """Puts a value in the place of `owner.name`, which may not exist yet."""
    own = vars(owner)
    _in_force.append(Patch(_reference(owner), name, reason, own.get(name), name not in own, _place(owner, name)))
    setattr(owner, name, value)


def in_force() -> list[Patch]:
    """Every patch of this process, oldest first, without those of objects that are gone."""
    return [patch for patch in _in_force if patch.owner() is not None]


def undo(count: int = 0) -> None:
    """Takes patches back, the newest first, until `count` are left."""
    while len(_in_force) > count:
        patch = _in_force.pop()
        owner = patch.owner()
        if owner is None:
            continue
        if patch.inherited:
            delattr(owner, patch.name)
        else:
            setattr(owner, patch.name, patch.original)


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """`owner.name` is `value` for the body."""
    own = vars(owner)
    inherited, original = name not in own, own.get(name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if inherited:
            delattr(owner, name)
        else:
            setattr(owner, name, original)


def _reference(owner: Any) -> Callable[[], Any]:
    """Objects are not kept alive by their patches; modules and classes live as long as the process."""
    if isinstance(owner, (ModuleType, type)):
        return lambda: owner
    return weakref.ref(owner)


def _place(owner: Any, name: str) -> str:
    if isinstance(owner, ModuleType):
        return f'{owner.__name__}.{name}'
    kind = owner if isinstance(owner, type) else type(owner)
    return f'{kind.__module__}.{kind.__qualname__}{"" if owner is kind else "()"}.{name}'


def _missing(owner: Any, name: str, reason: str) -> Problem:
    place = name if owner is None else _place(owner, name)
    return Problem(
        place,
        f'missing in this repository, but needed: {reason}',
        "needed: BasicSR's classes and methods, which the plan is attached to",
        'add it as in BasicSR, or remove the multigrid block',
    )

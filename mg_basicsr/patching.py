"""Patching: the only way in which this package replaces attributes of modules, classes and objects of other packages.

Every patch is recorded with its reason, so that all patches in force can be listed and undone. Functions that a
repository lacks, and which could therefore not be replaced, are recorded with the missing effect.

    wrap(module, 'BaseModel.validation', make, 'a signal ends a validation', lost='a signal waits for its end')
    for patch in in_force():
        print(patch)
"""

from __future__ import annotations

import functools
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, NamedTuple

from mg_basicsr.errors import ConfigError, Problem

Function = Callable[..., Any]

_REASONS = '_mg_basicsr_patches'  # attribute of a replacement: reasons of this patch and of those that it wraps


class Patch(NamedTuple):
    """Replaced attribute, or replaced entry of a dictionary.

    Attributes:
        owner: Returns the module, class, object or dictionary; None once an object is deleted.
        name: The attribute or key.
        reason: Purpose of the patch; it also identifies the patch, so that it is not applied twice.
        original: The former value; None together with `inherited`.
        inherited: Whether the owner had the attribute from a class, or not at all, so that undoing deletes it there.
        place: Full name of the attribute, for output.
    """

    owner: Callable[[], Any]
    name: str
    reason: str
    original: Any
    inherited: bool
    place: str

    def __str__(self) -> str:
        return f'{self.place}: {self.reason}'


class Missing(NamedTuple):
    """Function that a repository lacks, so that it could not be replaced.

    Attributes:
        place: Full name of the function.
        file: File of the module in the repository.
        lost: Effect that is missing without it.
        required: Whether runs with a plan need it.
    """

    place: str
    file: str
    lost: str
    required: bool

    def __str__(self) -> str:
        return f'{self.place}: missing in {self.file}: {self.lost}'


_in_force: list[Patch] = []
_missing: list[Missing] = []


def wrap(
    owner: Any, name: str, make: Callable[[Function], Function], reason: str, *, required: bool = False, lost: str = ''
) -> bool:
    """Replace the function `owner.name` by `make(original)`. A second call for the same reason does nothing.

    Args:
        owner: A module, class or object.
        name: The attribute; dotted if it belongs to an object inside the owner (`BaseModel.validation`).
        make: Maps the original function to its replacement, which gets the original's name and docstring.
        reason: Purpose of the replacement, in a few words.
        required: Whether runs with a plan need it; see `refuse_missing`.
        lost: Effect that is missing if the owner lacks the function. Without this text, and if it is not required,
            a missing function is not recorded.

    Returns:
        Whether the function is wrapped now; False if the owner lacks it.
    """
    *path, last = name.split('.')
    holder = owner
    for part in path:
        holder = getattr(holder, part, None)
    original = None if holder is None else getattr(holder, last, None)
    if original is None:
        if required or lost:
            note_missing(owner, name, lost or reason, required=required)
        return False
    if reason in getattr(original, _REASONS, ()):
        return True
    replacement = functools.wraps(original)(make(original))
    setattr(replacement, _REASONS, (*getattr(original, _REASONS, ()), reason))
    replace(holder, last, replacement, reason)
    return True


def replace(owner: Any, name: str, value: Any, reason: str) -> None:
    """Replace `owner.name`, or `owner[name]` in a dictionary, or add it.

    Args:
        owner: A module, class, object or dictionary.
        name: The attribute or key.
        value: The new value.
        reason: Purpose of the replacement, in a few words.
    """
    own = owner if isinstance(owner, dict) else vars(owner)
    _in_force.append(Patch(_reference(owner), name, reason, own.get(name), name not in own, _place(owner, name)))
    _set(owner, name, value)


def in_force() -> list[Patch]:
    """Return every patch of this process, oldest first, without those of deleted objects."""
    return [patch for patch in _in_force if patch.owner() is not None]


def undo(count: int = 0) -> None:
    """Undo patches, the newest first, until `count` are left; with none left, `missing()` is empty as well."""
    while len(_in_force) > count:
        patch = _in_force.pop()
        owner = patch.owner()
        if owner is not None:
            _restore(owner, patch.name, patch.original, patch.inherited)
    if count == 0:
        _missing.clear()


def note_missing(owner: Any, name: str, lost: str, *, required: bool = False) -> None:
    """Record that a repository lacks `owner.name`.

    Args:
        owner: The module, class or object.
        name: The attribute, dotted if it belongs to an object inside the owner.
        lost: Effect that is missing without it.
        required: Whether runs with a plan need it.
    """
    lacking = Missing(_place(owner, name), _file(owner), lost, required)
    if lacking not in _missing:
        _missing.append(lacking)


def missing() -> list[Missing]:
    """Return every function that could not be replaced because it is missing."""
    return list(_missing)


def refuse_missing() -> None:
    """Check that no required function is missing. Called when a run with a plan is active.

    Raises:
        ConfigError: a function is missing; the message names it and the repository's file.
    """
    problems = [
        Problem(
            lacking.file,
            f'{lacking.place} is missing, but a plan needs it: {lacking.lost}',
            "needed: the classes and methods of BasicSR's own basicsr package",
            'add it as in BasicSR, or remove the multigrid block',
        )
        for lacking in missing()
        if lacking.required
    ]
    if problems:
        raise ConfigError(*problems)


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Replace `owner.name` for the body of the context. It is not recorded, since it always ends.

    Args:
        owner: A module, class or object.
        name: The attribute.
        value: The new value.
    """
    own = vars(owner)
    inherited, original = name not in own, own.get(name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        _restore(owner, name, original, inherited)


def _set(owner: Any, name: str, value: Any) -> None:
    if isinstance(owner, dict):
        owner[name] = value
    else:
        setattr(owner, name, value)


def _restore(owner: Any, name: str, original: Any, inherited: bool) -> None:
    if not inherited:
        _set(owner, name, original)
    elif isinstance(owner, dict):
        owner.pop(name, None)
    else:
        delattr(owner, name)


def _reference(owner: Any) -> Callable[[], Any]:
    """Return a function that returns the owner of a patch: weakly for objects, which patches must not keep alive."""
    if isinstance(owner, (ModuleType, type, dict)):  # these live as long as the process
        return lambda: owner
    return weakref.ref(owner)


def _place(owner: Any, name: str) -> str:
    if isinstance(owner, dict):
        return f'sys.modules[{name!r}]' if owner is sys.modules else f'[{name!r}]'
    if isinstance(owner, ModuleType):
        return f'{owner.__name__}.{name}'
    kind = owner if isinstance(owner, type) else type(owner)
    return f'{kind.__module__}.{kind.__qualname__}{"" if owner is kind else "()"}.{name}'


def _file(owner: Any) -> str:
    if not isinstance(owner, ModuleType):
        kind = owner if isinstance(owner, type) else type(owner)
        owner = sys.modules.get(kind.__module__)
    return str(getattr(owner, '__file__', None) or 'this repository')

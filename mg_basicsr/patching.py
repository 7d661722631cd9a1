"""The only way in which this package replaces attributes of modules, classes and objects that are not its own.

Every replacement is recorded with its reason, so that all that are in force can be listed and undone. Functions that a
repository lacks, and which could therefore not be replaced, are recorded with what is lost.

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

_REASONS = '_mg_basicsr_patches'  # attribute of a replacement: why it and what lies below it were put in place


class Patch(NamedTuple):
    """One attribute, or one entry of a dictionary, that was replaced.

    Attributes:
        owner: Returns the module, class, object or dictionary; None once an object is gone.
        name: The attribute or key.
        reason: Why it was replaced; also what keeps a second replacement for the same reason out.
        original: What was there; None together with `inherited`.
        inherited: The owner had the attribute from a class, or not at all, so that undoing it deletes the owner's own.
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


class Missing(NamedTuple):
    """One function that a repository lacks, so that it could not be replaced.

    Attributes:
        place: Its full name.
        file: The module's file in the repository.
        lost: What does not work without it.
        required: No run with a plan can do without it.
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
    """Put `make(original)` in the place of the function `owner.name`. A second time for the same reason does nothing.

    Args:
        owner: A module, class or object.
        name: The attribute; dotted if it belongs to something inside the owner (`BaseModel.validation`).
        make: From the original function to its replacement, which gets the original's name and docstring.
        reason: What the replacement is for, in a few words.
        required: No run with a plan can do without it; see `refuse_missing`.
        lost: What does not work where the owner lacks it. Without it, and unless it is required, a function that is
            missing is passed over: there is nothing to replace.

    Returns:
        Whether the function is wrapped now: False where the owner lacks it.
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
    """Put a value in the place of `owner.name`, or of `owner[name]` in a dictionary. It may not exist yet."""
    own = owner if isinstance(owner, dict) else vars(owner)
    _in_force.append(Patch(_reference(owner), name, reason, own.get(name), name not in own, _place(owner, name)))
    _set(owner, name, value)


def in_force() -> list[Patch]:
    """Every patch of this process, oldest first, without those of objects that are gone."""
    return [patch for patch in _in_force if patch.owner() is not None]


def undo(count: int = 0) -> None:
    """Take patches back, the newest first, until `count` are left; with none left, `missing()` is empty as well."""
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
        name: The attribute, dotted if it belongs to something inside the owner.
        lost: What does not work without it.
        required: No run with a plan can do without it.
    """
    lacking = Missing(_place(owner, name), _file(owner), lost, required)
    if lacking not in _missing:
        _missing.append(lacking)


def missing() -> list[Missing]:
    """Every function that was to be replaced and is missing."""
    return list(_missing)


def refuse_missing() -> None:
    """Check that nothing required is missing. Called where a run with a plan is active.

    Raises:
        ConfigError: something is; the repository's file and the method are named.
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
    """Replace `owner.name` for the body. It is not listed, since it ends by itself."""
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
    """Objects are not kept alive by their patches; modules, classes and dictionaries are those of the process."""
    if isinstance(owner, (ModuleType, type, dict)):
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

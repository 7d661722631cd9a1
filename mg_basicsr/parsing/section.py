"""Typed reading of the values in a section of an options file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from mg_basicsr.parsing.problems import Problems, shown
from mg_basicsr.parsing.values import Parser

T = TypeVar('T')


class Section:
    """Section of an options file. A missing one is reported once, and all its values are the fallbacks.

    Args:
        path: Dotted path of the section; empty for the whole file.
        values: Keys and values of the section; None if it is missing, which has been reported.
        problems: Collection to which problems are added.

    >>> from mg_basicsr.parsing.values import strict_integer
    >>> problems = Problems()
    >>> file = Section('', {'scale': 4, 'train': {'total_iter': 'many'}}, problems)
    >>> file.read('scale', strict_integer(1), 1)
    4
    >>> file.section('train').read('total_iter', strict_integer(1), 1)
    1
    >>> print(*problems.found)
    train.total_iter: 'many' is not allowed
      allowed: an integer >= 1
      correct it in the options file
    """

    def __init__(self, path: str, values: Mapping[str, Any] | None, problems: Problems) -> None:
        self.path = path
        self.values = values
        self.problems = problems
        self._sections: dict[str, Section] = {}

    def section(self, key: str, default: Mapping[str, Any] | None = None) -> Section:
        """Return the section at a key.

        Args:
            key: Name of the section.
            default: Replacement for a missing section, so that each of its values can be reported; by default the
                section itself is reported.
        """
        if key not in self._sections:
            values = None if self.values is None else self._values_of(key, self.values.get(key), default)
            self._sections[key] = Section(self.path_of(key), values, self.problems)
        return self._sections[key]

    def read(self, key: str, parser: Parser[T], fallback: T, default: Any = None) -> T:
        """Return the parsed value of a key.

        Args:
            key: Name of the option.
            parser: Parser of the value.
            fallback: Value that is returned if parsing fails, which is reported, or if the section is missing.
            default: Value that is parsed if the key is absent or `~`.
        """
        if self.values is None:
            return fallback
        value = self.values.get(key)
        return self.problems.parse(self.path_of(key), default if value is None else value, parser, fallback)

    def refuse(self, key: str, what: str, allowed: str, remedy: str) -> None:
        """Add a problem of a key's value; for the texts see `Problem`."""
        self.problems.add(self.path_of(key), what, allowed, remedy)

    def path_of(self, key: str) -> str:
        """Return the dotted path of a key."""
        return f'{self.path}.{key}' if self.path else key

    def _values_of(self, key: str, found: Any, default: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        found = default if found is None else found
        if isinstance(found, Mapping):
            return found
        what = 'missing' if found is None else f'{shown(found)} is not a section'
        self.refuse(key, what, 'needed: the section as in BasicSR options files', 'copy it from one of them')
        return None

"""Reads values out of the sections of an options file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from mg_basicsr.parsing.problems import Problems, shown
from mg_basicsr.parsing.values import Parser

T = TypeVar('T')


class Section:
    """A section of an options file. One that is missing is noted once; what is read from it are the fallbacks.

    Attributes:
        path: Its dotted path; empty for the file.
        values: Its keys and values; None where it is missing, which has been noted.
        problems: Where problems are noted.
    """

    def __init__(self, path: str, values: Mapping[str, Any] | None, problems: Problems) -> None:
        self.path = path
        self.values = values
        self.problems = problems

    def section(self, key: str) -> Section:
        path = self._path(key)
        if self.values is None:
            return Section(path, None, self.problems)
        found = self.values.get(key)
        if not isinstance(found, Mapping):
            what = 'missing' if found is None else f'{shown(found)} is not a section'
            self.problems.add(path, what, 'needed: the section as in BasicSR options files', 'copy it from one of them')
            found = None
        return Section(path, found, self.problems)

    def read(self, key: str, parser: Parser[T], fallback: T, default: Any = None) -> T:
        """The parsed value of a key, or of `default` where it is absent or `~`; the fallback if that fails."""
        if self.values is None:
            return fallback
        value = self.values.get(key)
        return self.problems.parse(self._path(key), default if value is None else value, parser, fallback)

    def _path(self, key: str) -> str:
        return f'{self.path}.{key}' if self.path else key

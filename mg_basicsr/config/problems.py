"""Collects all problems of an options file, so that the user sees them at once and not one per run."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from mg_basicsr.config.parsers import Parser
from mg_basicsr.errors import ConfigError, MultigridError, Problem

T = TypeVar('T')


class Problems:
    """A list of problems under construction."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def add(self, what: str, allowed: str = '', remedy: str = '') -> None:
        self.found.append(Problem(what, allowed, remedy))

    def absorb(self, error: MultigridError) -> None:
        self.found.extend(error.problems)

    def raise_if_any(self) -> None:
        """Raises:
        ConfigError: with everything found so far.
        """
        if self.found:
            raise ConfigError(*self.found)

    def parse(self, path: str, value: Any, parser: Parser[T], fallback: T, remedy: str = '') -> T:
        """`parser(value)`; on failure the problem is noted and `fallback` returned, so that the rest is checked too."""
        try:
            return parser(value)
        except ValueError as error:
            self.add(f'{path}: {shown(value)} is not allowed', f'allowed: {error}', remedy)
            return fallback

    def unknown_keys(self, path: str, section: Mapping[Any, Any], known: Iterable[str]) -> None:
        """Notes every key of the section that is not known, with the nearest one that is."""
        names = sorted(known)
        for key in section:
            if key in names:
                continue
            near = difflib.get_close_matches(str(key), names, n=1, cutoff=0.5)
            remedy = f'did you mean {path}.{near[0]}?' if near else 'remove it'
            self.add(f'{path}.{key}: no such option (value {shown(section[key])})', 'allowed: ' + ', '.join(names), remedy)


def shown(value: Any) -> str:
    """A value as it appears in a message: as in YAML, and short."""
    text = {None: '~', True: 'true', False: 'false'}.get(value) if isinstance(value, (bool, type(None))) else repr(value)
    assert text is not None
    return text if len(text) <= 60 else text[:57] + '...'

"""Collects all problems of an options file, so that the user sees them at once and not one per run."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from mg_basicsr.errors import ConfigError, Problem
from mg_basicsr.parsing.values import Parser

T = TypeVar('T')


class Problems:
    """A list of problems under construction."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def add(self, option: str, what: str, allowed: str = '', remedy: str = '') -> None:
        self.found.append(Problem(option, what, allowed, remedy))

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
            what = 'missing' if value is None else f'{shown(value)} is not allowed'
            remedy = remedy or ('set' if value is None else 'correct') + ' it in the options file'
            self.add(path, what, f'allowed: {error}', remedy)
        return fallback

    def unknown_keys(self, path: str, section: Mapping[Any, Any], known: Iterable[str]) -> None:
        """Notes every key of the section that is not known, with the nearest one that is."""
        names = sorted(known)
        for key in section:
            if key in names:
                continue
            near = difflib.get_close_matches(str(key), names, n=1, cutoff=0.5)
            remedy = f'did you mean {path}.{near[0]}?' if near else 'remove it'
            name = key if isinstance(key, str) and key and key.isprintable() else repr(key)
            what = f'no such option (value {shown(section[key])})'
            self.add(f'{path}.{name}', what, 'allowed: ' + ', '.join(names), remedy)


Reader = Callable[[str, Any, Problems], Any]


def reads(parser: Parser[Any]) -> Reader:
    """A reader (dotted path, value, problems -> parsed value, None if a problem was noted) of a single value."""
    return lambda path, value, problems: problems.parse(path, value, parser, None)


def read_section(
    path: str, section: Any, keys: Mapping[str, Reader], required: Iterable[str], problems: Problems
) -> dict[str, Any] | None:
    """A section with these keys and no others; a key that is absent or `~` is left out.

    Returns:
        The parsed values by key; None if any problem was noted.
    """
    if not isinstance(section, Mapping):
        what = f'{shown(section)} is not a section'
        problems.add(path, what, 'allowed: a section with ' + ', '.join(keys), 'correct it in the options file')
        return None
    before = len(problems.found)
    problems.unknown_keys(path, section, keys)
    values = {
        key: reader(f'{path}.{key}', section.get(key), problems)
        for key, reader in keys.items()
        if section.get(key) is not None or key in required
    }
    return None if len(problems.found) > before else values


def shown(value: Any) -> str:
    """A value as it appears in a message: as in YAML, on one line, and short."""
    try:
        as_yaml = {None: '~', True: 'true', False: 'false'}
        text = as_yaml[value] if value is None or isinstance(value, bool) else repr(value)
    except (RecursionError, ValueError):  # lists in lists in lists; integers of thousands of digits
        text = f'{type(value).__name__}, too long to show'
    return text if len(text) <= 60 else text[:57] + '...'

"""Collection of the problems of an options file, so that the user sees all of them at once and not one per run."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from mg_basicsr.errors import ConfigError, Problem
from mg_basicsr.parsing.values import Parser, accepts, schema_of

T = TypeVar('T')

SIMILAR = 0.7  # ratio of difflib: `spatail` has 0.86, `typo` and `temporal` have 0.5
SHORTEST_PART = 4  # letters of a name that is a part of another


class Problems:
    """Collection of problems.

    Attributes:
        found: The problems, in the order in which they were added.
    """

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def add(self, option: str, what: str, allowed: str = '', remedy: str = '') -> None:
        """Add a problem; for the texts see `Problem`."""
        self.found.append(Problem(option, what, allowed, remedy))

    def raise_if_any(self) -> None:
        """Raise all problems at once.

        Raises:
            ConfigError: there are problems.
        """
        if self.found:
            raise ConfigError(*self.found)

    def parse(self, path: str, value: Any, parser: Parser[T], fallback: T) -> T:
        """Return a parsed value. If parsing fails, add a problem and return a fallback, so that reading continues.

        Args:
            path: Dotted path of the option.
            value: Value of the option; None if it is missing.
            parser: Parser of the value.
            fallback: Value that is returned if parsing fails.
        """
        try:
            return parser(value)
        except ValueError as error:
            what = 'missing' if value is None else f'{shown(value)} is not allowed'
            remedy = 'set' if value is None else 'correct'
            self.add(path, what, f'allowed: {error}', f'{remedy} it in the options file')
        return fallback

    def unknown_keys(self, path: str, section: Mapping[Any, Any], known: Iterable[str]) -> None:
        """Add a problem for every unknown key of a section, with the nearest known key as a suggestion.

        Args:
            path: Dotted path of the section.
            section: Keys and values of the section.
            known: Keys that it may have.
        """
        names = sorted(known)
        for key in section:
            if key in names:
                continue
            near = nearest(str(key), names)
            remedy = f'did you mean {path}.{near}?' if near else 'remove it'
            name = key if isinstance(key, str) and key and key.isprintable() else repr(key)
            what = f'no such option (value {shown(section[key])})'
            self.add(f'{path}.{name}', what, 'allowed: ' + ', '.join(names), remedy)


def nearest(name: str, names: Sequence[str]) -> str:
    """Return the name that another was probably meant to be; empty if none is near.

    >>> names = ['min_lq_size', 'temporal', 'temporal_stride', 'warmup_iter']
    >>> nearest('Temporl', names), nearest('warm_up', names), nearest('typo', names), nearest('stride', names)
    ('temporal', 'warmup_iter', '', 'temporal_stride')

    Args:
        name: A name that is not known.
        names: Those that are.
    """

    def letters(text: str) -> str:
        return ''.join(filter(str.isalnum, text.lower()))

    plain = letters(name)
    known = {letters(each): each for each in names}
    if close := difflib.get_close_matches(plain, known, n=1, cutoff=SIMILAR):
        return known[close[0]]
    parts = [each for each in known if len(plain) >= SHORTEST_PART and (plain in each or each in plain)]
    return known[parts[0]] if len(parts) == 1 else ''


Reader = Callable[[str, Any, Problems], Any]


def reads(parser: Parser[Any]) -> Reader:
    """Return a reader of a single value: (dotted path, value, problems) -> parsed value, None after a problem."""
    return accepts(schema_of(parser))(lambda path, value, problems: problems.parse(path, value, parser, None))


def read_section(
    path: str, section: Any, keys: Mapping[str, Reader], required: Iterable[str], problems: Problems
) -> dict[str, Any] | None:
    """Read a section that may have these keys and no others; a key that is absent or `~` is left out.

    Args:
        path: Dotted path of the section.
        section: Value at this path, of any type.
        keys: Reader of each key.
        required: Keys that the section must have.
        problems: Collection to which problems are added.

    Returns:
        The parsed values by key; None if there was any problem.
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
    """Return the text of a value in a message: in the notation of YAML, on one line, at most 60 characters.

    >>> shown(True), shown(None), shown('x')
    ('true', '~', "'x'")
    """
    try:
        as_yaml = {None: '~', True: 'true', False: 'false'}
        text = as_yaml[value] if value is None or isinstance(value, bool) else repr(value)
    except (RecursionError, ValueError):  # deeply nested lists; integers of thousands of digits
        text = f'{type(value).__name__}, too long to show'
    return text if len(text) <= 60 else text[:57] + '...'

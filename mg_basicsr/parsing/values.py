"""Typed parsers of option values.

A parser takes a value as YAML gives it and returns it in its type, or raises `ValueError` whose message names the
allowed values.

>>> sizes = list_of(integer(1), 'a list of integers >= 1')
>>> sizes([64, '1e2'])
(64, 100)
>>> sizes([64, 0.5])
Traceback (most recent call last):
ValueError: a list of integers >= 1
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar('T')
Parser = Callable[[Any], T]
Schema = dict[str, Any]  # JSON schema of the values that a parser accepts
C = TypeVar('C', bound=Callable[..., Any])

LARGEST = 1e100  # far above any learning rate, while products of a few such numbers are still finite
MOST_CLIPS = 1_000_000  # per optimiser step; finding the divisors of such a number takes no noticeable time

# a number as text, as YAML 1.1 reads 2e-4
NUMBER_TEXT = r'^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?$'


def accepts(schema: Schema) -> Callable[[C], C]:
    """Declare the values that a parser or a reader accepts, as a JSON schema; `mg-basicsr schema` prints it.

    >>> @accepts({'type': 'string'})
    ... def name(value): ...
    >>> schema_of(name)
    {'type': 'string'}
    """

    def declare(parser: C) -> C:
        parser.__dict__['schema'] = schema
        return parser

    return declare


def schema_of(parser: Callable[..., Any]) -> Schema:
    """Return the JSON schema of a parser or a reader; an empty one, which accepts all, if it declares none."""
    return dict(getattr(parser, 'schema', {}))


def any_of(*schemas: Schema) -> Schema:
    """Return the schema of values that one of several schemas accepts."""
    return {'anyOf': list(schemas)}


def _numbers(kind: str, **limits: float) -> Schema:
    """Return the schema of numbers of a JSON type, also as text, with the limits of its keywords."""
    negative = not {'minimum', 'exclusiveMinimum'} & limits.keys()
    pattern = NUMBER_TEXT if negative else NUMBER_TEXT.replace('[-+]', '[+]', 1)
    return any_of({'type': kind, **limits}, {'type': 'string', 'pattern': pattern})


@accepts(_numbers('number'))
def number(value: Any) -> float:
    """Parse a finite number; also from text, since PyYAML reads `2e-4` as a string.

    >>> number('2e-4')
    0.0002

    Raises:
        ValueError: the value is not a number, or not finite.
    """
    allowed = 'a number'
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(allowed)
    try:
        parsed = float(value)
    except (ValueError, OverflowError):
        raise ValueError(allowed) from None
    if not -LARGEST <= parsed <= LARGEST:  # false for nan too
        raise ValueError(allowed)
    return parsed


def integer(minimum: int, maximum: int = 2**62) -> Parser[int]:
    """Parse an integer; 3.0 and `3e5` (text to PyYAML) are integers too.

    Args:
        minimum: Smallest integer that is allowed.
        maximum: Largest integer that is allowed.
    """
    allowed = f'an integer >= {minimum}' if maximum == 2**62 else f'an integer from {minimum} to {maximum}'
    limits = {'minimum': minimum} if maximum == 2**62 else {'minimum': minimum, 'maximum': maximum}

    @accepts(_numbers('integer', **limits))
    def parse(value: Any) -> int:
        try:
            parsed = value if type(value) is int else number(value)  # an int is not rounded to a float's 53 bits
        except ValueError:
            raise ValueError(allowed) from None
        if not minimum <= parsed <= maximum or parsed != int(parsed):
            raise ValueError(allowed)
        return int(parsed)

    return parse


def host_integer(minimum: int, maximum: int = 2**62) -> Parser[int]:
    """Parse an integer that BasicSR only compares with others: it converts nothing, so text is refused.

    Args:
        minimum: Smallest integer that is allowed.
        maximum: Largest integer that is allowed.
    """
    parse_any = integer(minimum, maximum)

    def parse(value: Any) -> int:
        return parse_any(None if isinstance(value, str) else value)

    return parse


def strict_integer(minimum: int, maximum: int = 2**62) -> Parser[int]:
    """Parse an integer that BasicSR counts or slices with: it converts nothing, and 256.0 would fail there.

    Args:
        minimum: Smallest integer that is allowed.
        maximum: Largest integer that is allowed.

    >>> strict_integer(1)(256)
    256
    >>> strict_integer(1)(256.0)
    Traceback (most recent call last):
    ValueError: an integer >= 1
    """
    parse_any = integer(minimum, maximum)

    def parse(value: Any) -> int:
        return parse_any(value if type(value) is int else None)  # a bool is an int too

    return parse


def host_number(value: Any) -> float:
    """Parse a number that BasicSR calculates with: it converts nothing, so text is refused."""
    return number(None if isinstance(value, str) else value)


def host_positive(value: Any) -> float:
    """Parse a number > 0 that BasicSR calculates with."""
    return positive(None if isinstance(value, str) else value)


@accepts(_numbers('number', exclusiveMinimum=0))
def positive(value: Any) -> float:
    """Parse a finite number > 0."""
    return _at_least(value, 'a number > 0', lambda parsed: parsed > 0)


@accepts(_numbers('number', minimum=0))
def non_negative(value: Any) -> float:
    """Parse a finite number >= 0."""
    return _at_least(value, 'a number >= 0', lambda parsed: parsed >= 0)


@accepts(_numbers('number', minimum=0, maximum=1))
def share(value: Any) -> float:
    """Parse a number from 0 to 1.

    Raises:
        ValueError: the value is not such a number.
    """
    allowed = 'a number from 0 to 1'
    if (parsed := _at_least(value, allowed, lambda x: x >= 0)) > 1:
        raise ValueError(allowed)
    return parsed


def _at_least(value: Any, allowed: str, accepted: Callable[[float], bool]) -> float:
    try:
        parsed = number(value)
    except ValueError:
        raise ValueError(allowed) from None
    if not accepted(parsed):
        raise ValueError(allowed)
    return parsed


@accepts({'type': 'boolean'})
def boolean(value: Any) -> bool:
    """Parse a boolean.

    Raises:
        ValueError: the value is another, also 0, 1 or text.
    """
    if not isinstance(value, bool):
        raise ValueError('true or false')
    return value


@accepts({'type': 'string', 'minLength': 1})
def text(value: Any) -> str:
    """Parse text.

    Raises:
        ValueError: the value is not text, or empty.
    """
    if not isinstance(value, str) or not value:
        raise ValueError('a name')
    return value


@accepts({'type': 'string', 'minLength': 1})
def path(value: Any) -> str:
    """Parse the path of a file or folder, also a `Path`, which BasicSR puts into options.

    Raises:
        ValueError: the value is not a path, or empty.
    """
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value) or '\0' in str(value):
        raise ValueError('a path')
    return str(os.fspath(value))


def optional(parser: Parser[T]) -> Parser[T | None]:
    """Return a parser that also accepts None, for values that may be left out."""
    schema = any_of(schema_of(parser), {'type': 'null'}) if schema_of(parser) else {}
    return accepts(schema)(lambda value: None if value is None else parser(value))


def choice(*names: str) -> Parser[str]:
    """Return a parser that accepts one of these names."""
    allowed = ' | '.join(names)

    @accepts({'enum': list(names)})
    def parse(value: Any) -> str:
        if not isinstance(value, str) or value not in names:
            raise ValueError(allowed)
        return value

    return parse


def list_of(parser: Parser[T], allowed: str, *, empty: bool = False) -> Parser[tuple[T, ...]]:
    """Return a parser of lists.

    Args:
        parser: Parser of the items.
        allowed: Description of the allowed lists, for messages.
        empty: Whether a list may be empty.
    """

    @accepts({'type': 'array', 'items': schema_of(parser), **({} if empty else {'minItems': 1})})
    def parse(value: Any) -> tuple[T, ...]:
        if not isinstance(value, (list, tuple)) or not (value or empty):
            raise ValueError(allowed)
        try:
            return tuple(parser(item) for item in value)
        except ValueError:
            raise ValueError(allowed) from None

    return parse


def pair_of(parser: Parser[T], allowed: str) -> Parser[tuple[T, T]]:
    """Return a parser of lists of two items.

    Args:
        parser: Parser of the items.
        allowed: Description of the allowed lists, for messages.
    """
    parse_any = list_of(parser, allowed)

    @accepts({**schema_of(parse_any), 'minItems': 2, 'maxItems': 2})
    def parse(value: Any) -> tuple[T, T]:
        if len(values := parse_any(value)) != 2:
            raise ValueError(allowed)
        return values[0], values[1]

    return parse


def or_off(parser: Parser[tuple[T, ...]], allowed: str) -> Parser[tuple[T, ...]]:
    """Return a parser that also accepts `false`, as an empty tuple: a cycle that is switched off.

    Args:
        parser: Parser of the other values.
        allowed: Description of all allowed values, for messages.
    """

    @accepts(any_of({'const': False}, schema_of(parser)))
    def parse(value: Any) -> tuple[T, ...]:
        if value is False:
            return ()
        try:
            return parser(value)
        except ValueError:
            raise ValueError(allowed) from None

    return parse


# in JSON 1 and 1.0 are the same, and 2.0 and 2
@accepts(any_of({'type': 'number', 'exclusiveMinimum': 0, 'maximum': 1}, {'type': 'integer', 'minimum': 2}))
def fraction_or_count(value: Any) -> float | int:
    """Parse a fraction of the full value (float, 0 < x <= 1) or a count of pixels or frames (int >= 2).

    Raises:
        ValueError: the value is neither. The integer 1 is refused: it would mean one pixel or one frame, while nearly
            always the whole is meant.
    """
    allowed = 'fractions such as 0.5 and 1.0, or whole numbers above 1'
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(allowed)
    if isinstance(value, int):
        if value < 2:
            raise ValueError(allowed)
        return value
    if not 0 < value <= 1:
        raise ValueError(allowed)
    return value

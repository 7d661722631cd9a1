"""Small typed parsers for option values.

A parser turns a value from YAML into its type or raises `ValueError` with what is allowed as its message.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar('T')
Parser = Callable[[Any], T]

LARGEST = 1e100  # far above any rate, and products of a few such numbers are still finite
MOST_CLIPS = 1_000_000  # per optimiser step; what divides such a number is found at once


def number(value: Any) -> float:
    """A finite float; also from text, since PyYAML reads `2e-4` as a string."""
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
    """An integer in a range, bounds included; 3.0 and `3e5` (text to PyYAML) are integers too."""
    allowed = f'an integer >= {minimum}' if maximum == 2**62 else f'an integer from {minimum} to {maximum}'

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
    """An integer that the host reads as well: it converts nothing, so text is refused."""
    parse_any = integer(minimum, maximum)

    def parse(value: Any) -> int:
        return parse_any(None if isinstance(value, str) else value)

    return parse


def positive(value: Any) -> float:
    """A finite number > 0."""
    return _at_least(value, 'a number > 0', lambda parsed: parsed > 0)


def non_negative(value: Any) -> float:
    """A finite number >= 0."""
    return _at_least(value, 'a number >= 0', lambda parsed: parsed >= 0)


def _at_least(value: Any, allowed: str, accepted: Callable[[float], bool]) -> float:
    try:
        parsed = number(value)
    except ValueError:
        raise ValueError(allowed) from None
    if not accepted(parsed):
        raise ValueError(allowed)
    return parsed


def boolean(value: Any) -> bool:
    """A boolean; 0, 1 and text are refused."""
    if not isinstance(value, bool):
        raise ValueError('true or false')
    return value


def text(value: Any) -> str:
    """Text that is not empty."""
    if not isinstance(value, str) or not value:
        raise ValueError('a name')
    return value


def choice(*names: str) -> Parser[str]:
    """One of `names`."""
    allowed = ' | '.join(names)

    def parse(value: Any) -> str:
        if not isinstance(value, str) or value not in names:
            raise ValueError(allowed)
        return value

    return parse


def list_of(parser: Parser[T], allowed: str, *, empty: bool = False) -> Parser[tuple[T, ...]]:
    """A list, not empty unless that makes sense (`empty`); `allowed` describes the whole list."""

    def parse(value: Any) -> tuple[T, ...]:
        if not isinstance(value, (list, tuple)) or not (value or empty):
            raise ValueError(allowed)
        try:
            return tuple(parser(item) for item in value)
        except ValueError:
            raise ValueError(allowed) from None

    return parse


def pair_of(parser: Parser[T], allowed: str) -> Parser[tuple[T, T]]:
    """A list of two; `allowed` describes it."""
    parse_any = list_of(parser, allowed)

    def parse(value: Any) -> tuple[T, T]:
        if len(values := parse_any(value)) != 2:
            raise ValueError(allowed)
        return values[0], values[1]

    return parse


def or_off(parser: Parser[tuple[T, ...]], allowed: str) -> Parser[tuple[T, ...]]:
    """A list, or `false` for an empty one: the cycle is switched off."""

    def parse(value: Any) -> tuple[T, ...]:
        if value is False:
            return ()
        try:
            return parser(value)
        except ValueError:
            raise ValueError(allowed) from None

    return parse


def fraction_or_count(value: Any) -> float | int:
    """A fraction of the full value (float, 0 < x <= 1) or a count of pixels or frames (int >= 2).

    An integer 1 is refused: it would mean one pixel or one frame, and is nearly always meant as the whole.
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

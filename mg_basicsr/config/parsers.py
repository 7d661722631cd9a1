"""Small typed parsers for option values.

A parser turns a value from YAML into its type or raises `ValueError` with what is allowed as its message.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

T = TypeVar('T')
Parser = Callable[[Any], T]


def number(value: Any) -> float:
    """A float; also from text, since PyYAML reads `2e-4` as a string."""
    if isinstance(value, str):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        raise ValueError('a number')
    return float(value)


def integer(minimum: int, maximum: int = 2**62) -> Parser[int]:
    allowed = f'an integer >= {minimum}' if maximum == 2**62 else f'an integer from {minimum} to {maximum}'

    def parse(value: Any) -> int:
        try:
            parsed = number(value)
            whole = int(parsed)
        except (ValueError, OverflowError):
            raise ValueError(allowed) from None
        if whole != parsed or not minimum <= whole <= maximum:
            raise ValueError(allowed)
        return whole

    return parse


def positive(value: Any) -> float:
    allowed = 'a number > 0'
    try:
        parsed = number(value)
    except ValueError:
        raise ValueError(allowed) from None
    if not 0 < parsed < float('inf'):
        raise ValueError(allowed)
    return parsed


def non_negative(value: Any) -> float:
    allowed = 'a number >= 0'
    try:
        parsed = number(value)
    except ValueError:
        raise ValueError(allowed) from None
    if not 0 <= parsed < float('inf'):
        raise ValueError(allowed)
    return parsed


def boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError('true or false')
    return value


def text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError('text')
    return value


def choice(*names: str) -> Parser[str]:
    def parse(value: Any) -> str:
        if value not in names or not isinstance(value, str):
            raise ValueError(' | '.join(names))
        return value

    return parse


def list_of(parser: Parser[T], allowed: str) -> Parser[tuple[T, ...]]:
    """A non-empty list; `allowed` describes the whole list."""

    def parse(value: Any) -> tuple[T, ...]:
        if not isinstance(value, Sequence) or isinstance(value, str) or not value:
            raise ValueError(allowed)
        try:
            return tuple(parser(item) for item in value)
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

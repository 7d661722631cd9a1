"""Values of options files, parsed or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mg_basicsr.parsing.values import (
    Parser,
    boolean,
    choice,
    fraction_or_count,
    host_integer,
    host_number,
    host_positive,
    integer,
    list_of,
    non_negative,
    number,
    optional,
    path,
    positive,
    strict_integer,
    text,
)

INTEGERS = list_of(integer(0), 'a list of integers')


@pytest.mark.parametrize(
    ('parser', 'value', 'expected'),
    [
        (number, 3, 3.0),
        (number, '2e-4', 2e-4),
        (number, '-1', -1.0),
        (integer(0), 3.0, 3),
        (integer(0), '3e5', 300_000),
        (integer(-1), -1, -1),
        (integer(0), 2**60 + 1, 2**60 + 1),  # a float would round it
        (integer(0, 5), 5, 5),
        (host_integer(1), 4, 4),
        (host_integer(1), 4.0, 4),
        (strict_integer(1), 4, 4),
        (host_number, 3, 3.0),
        (host_positive, 0.5, 0.5),
        (path, 'a/b', 'a/b'),
        (path, Path('a/b'), 'a/b'),
        (optional(text), None, None),
        (optional(text), 'a', 'a'),
        (positive, '1e-7', 1e-7),
        (non_negative, 0, 0.0),
        (boolean, False, False),
        (text, 'a', 'a'),
        (choice('a', 'b'), 'b', 'b'),
        (INTEGERS, [1, 2.0], (1, 2)),
        (list_of(integer(0), 'a list', empty=True), [], ()),
        (fraction_or_count, 0.5, 0.5),
        (fraction_or_count, 1.0, 1.0),
        (fraction_or_count, 2, 2),
    ],
)
def test_accepted(parser: Parser[Any], value: Any, expected: Any) -> None:
    parsed = parser(value)
    assert parsed == expected
    assert type(parsed) is type(expected)


NAN, INF = float('nan'), float('inf')


@pytest.mark.parametrize(
    ('parser', 'values', 'allowed'),
    [
        (number, [None, True, 'x', '', NAN, INF, -INF, 10**400, 1e101, '1e999', 'nan', [1], {}], 'a number'),
        (integer(0), [None, False, 'x', 1.5, '1.5', -1, NAN, INF, 2**63, [1]], 'an integer >= 0'),
        (integer(0, 5), [6, -1], 'an integer from 0 to 5'),
        (host_integer(1), ['4', '4.0', 0, None, True], 'an integer >= 1'),
        (strict_integer(1, 5), ['4', 4.0, 0, 6, None, True], 'an integer from 1 to 5'),
        (host_number, ['4', None, True, NAN], 'a number'),
        (host_positive, ['4', 0, -1, None], 'a number > 0'),
        (path, [None, '', 3, ['a']], 'a path'),
        (optional(text), ['', 3], 'a name'),
        (positive, [None, 0, -1, 'x', NAN, INF], 'a number > 0'),
        (non_negative, [None, -1e-9, 'x', NAN, INF], 'a number >= 0'),
        (boolean, [None, 0, 1, 'true'], 'true or false'),
        (text, [None, '', 3, True], 'a name'),
        (choice('a', 'b'), [None, 'c', ['a'], {}, 1], 'a | b'),
        (INTEGERS, [None, [], 5, 'ab', [None], [1, 'x'], {1: 2}], 'a list of integers'),
        (fraction_or_count, [None, True, 0, 1, -2, 0.0, 1.5, -0.5, NAN, '0.5'], 'fractions such as 0.5 and 1.0'),
    ],
)
def test_refused_with_what_is_allowed(parser: Parser[Any], values: list[Any], allowed: str) -> None:
    for value in values:
        with pytest.raises(ValueError) as refused:
            parser(value)
        assert str(refused.value).startswith(allowed)

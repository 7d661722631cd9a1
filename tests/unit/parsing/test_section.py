"""Sections of an options file."""

from __future__ import annotations

from typing import Any

import pytest

from mg_basicsr.parsing.problems import Problems
from mg_basicsr.parsing.section import Section
from mg_basicsr.parsing.values import integer, optional, text


def section(values: Any) -> Section:
    return Section('', values, Problems())


def told(file: Section) -> list[tuple[str, str]]:
    return [(problem.option, problem.what) for problem in file.problems.found]


def test_values_fallbacks_and_defaults() -> None:
    file = section({'a': '3', 'b': None, 'c': 'x'})
    assert file.read('a', integer(0), 7) == 3
    assert file.read('b', integer(0), 7, default=5) == file.read('d', integer(0), 7, default=5) == 5
    assert file.read('b', optional(text), None) is None
    assert not file.problems.found
    assert file.read('c', integer(0), 7) == file.read('d', integer(0), 7) == 7
    assert told(file) == [('c', "'x' is not allowed"), ('d', 'missing')]


@pytest.mark.parametrize(('values', 'what'), [({}, 'missing'), ({'a': 5}, '5 is not a section')])
def test_a_missing_section_is_reported_once_however_often_it_is_read(values: dict[str, Any], what: str) -> None:
    file = section(values)
    for _ in range(2):
        inner = file.section('a').section('b')
        assert inner.path == 'a.b'
        assert inner.read('c', integer(0), 7, default=5) == 7
    assert told(file) == [('a', what)]


def test_a_section_that_may_be_missing_has_its_values_reported() -> None:
    file = section({'a': {}})
    file.section('a').section('b', default={}).read('c', integer(0), 7)
    assert told(file) == [('a.b.c', 'missing')]


def test_a_value_that_the_caller_refuses() -> None:
    file = section({'a': {'b': 1}})
    file.section('a').refuse('b', '1 is odd', 'allowed: 2', 'use 2')
    assert [str(problem) for problem in file.problems.found] == ['a.b: 1 is odd\n  allowed: 2\n  use 2']

"""Errors of the user's as they are printed, and how they end a process."""

from __future__ import annotations

import pickle

import pytest

from mg_basicsr.errors import ConfigError, DataError, Problem, ending_cleanly, fail

ERROR = DataError(Problem('scale', '3', 'allowed: 4', 'correct it'), Problem('', 'no frames'))
TEXT = 'scale: 3\n  allowed: 4\n  correct it\nno frames'


def test_a_problem_is_up_to_three_lines() -> None:
    assert str(ERROR) == TEXT


def test_errors_travel_between_processes() -> None:
    copied = pickle.loads(pickle.dumps(ERROR))
    assert type(copied) is DataError and copied.problems == ERROR.problems


def test_fail_ends_with_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        fail(ERROR)
    assert ended.value.code == 2
    assert capsys.readouterr() == ('', f'\n{TEXT}\n')


def test_ending_cleanly_ends_the_users_errors_alone(capsys: pytest.CaptureFixture[str]) -> None:
    @ending_cleanly
    def call(value: object) -> object:
        """Docstring."""
        if isinstance(value, Exception):
            raise value
        return value

    assert call(3) == 3 and call.__doc__ == 'Docstring.'
    with pytest.raises(ZeroDivisionError):
        call(ZeroDivisionError())
    with pytest.raises(SystemExit) as ended:
        call(ConfigError(Problem('scale', '3')))
    assert ended.value.code == 2 and 'scale: 3' in capsys.readouterr().err

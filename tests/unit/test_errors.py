"""Errors of the user's as they are printed, and how they end a process."""

from __future__ import annotations

import pickle

import pytest

from mg_basicsr.errors import ConfigError, DataError, Problem, ending_cleanly, fail, printable

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


@pytest.mark.parametrize(
    ('text', 'shown'),
    [
        ('\x1b[31mred\x07', '\\x1b[31mred\\x07'),
        ('a\u202egnp.exe', 'a\\u202egnp.exe'),
        ('\u2066x\u2069', '\\u2066x\\u2069'),
        ('a\tb\rc\x00', 'a\\tb\\rc\\x00'),
        ('bytes\udcff', 'bytes\\udcff'),
        ('größe 雨\u3000x\nnext', 'größe 雨\u3000x\nnext'),
    ],
)
def test_what_reaches_the_terminal(text: str, shown: str) -> None:
    """In each of a problem's texts."""
    assert printable(text) == shown
    for field in Problem._fields:
        assert text not in str(Problem('x', 'y')._replace(**{field: text})) or text == shown
        assert str(Problem('x', 'y')._replace(**{field: text})).isascii() or text == shown


def test_lines_and_lists_are_short() -> None:
    error = ConfigError(*(Problem(f'key{n}' + 'x' * 17_000, 'no such option') for n in range(300)))
    lines = str(error).splitlines()
    assert max(map(len, lines)) < 1_100 and len(lines) == 51
    assert lines[0].endswith('no such option') and lines[-1] == 'and 250 more problems'

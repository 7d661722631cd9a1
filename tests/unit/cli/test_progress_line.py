"""Progress of a command: lines in a file or a pipe, one line that is rewritten on a terminal, nothing on stdout."""

from __future__ import annotations

import io
import re
import sys
from contextlib import redirect_stderr

import pytest

from mg_basicsr.cli.progress_line import progress_line


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch, term: str = 'xterm') -> str:
    monkeypatch.setenv('TERM', term)
    monkeypatch.setenv('COLUMNS', '80')
    monkeypatch.setattr(sys, 'stderr', stream)
    with progress_line('check') as show:
        show('options and files')
        with redirect_stderr(io.StringIO()) as aside:  # as code of the host is called
            show('shape 1 of 6: [bold]2 clips[/bold]')
            print('of the host', file=sys.stderr)
    assert aside.getvalue() == 'of the host\n'
    return stream.getvalue()


@pytest.mark.parametrize(('stream', 'term'), [(io.StringIO, 'xterm'), (Terminal, 'dumb')])
def test_lines_where_nothing_can_be_rewritten(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], stream: type[io.StringIO], term: str
) -> None:
    lines = shown(stream(), monkeypatch, term).splitlines()
    assert lines == ['check: options and files (0 s)', 'check: shape 1 of 6: [bold]2 clips[/bold] (0 s)']
    assert capsys.readouterr().out == ''


def test_one_line_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(Terminal(), monkeypatch)
    plain = re.sub(r'\x1b\[\d*m', '', text)
    assert 'check: shape 1 of 6: [bold]2 clips[/bold] 0:00:00' in plain
    assert text.endswith('\x1b[2K')  # erased at the end
    assert text.count('\n') == 1 and capsys.readouterr().out == ''


def test_a_long_part_stays_on_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('TERM', 'xterm')
    monkeypatch.setenv('COLUMNS', '40')
    monkeypatch.setattr(sys, 'stderr', stream := Terminal())
    with progress_line('check') as show:
        show('x' * 200)
    assert 'xxx…' in stream.getvalue() and 'x' * 41 not in stream.getvalue()

"""What is given as an options file and is none: never waited for, never read without end."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from mg_basicsr.errors import ConfigError
from mg_basicsr.parsing import plain_files
from mg_basicsr.parsing.options_file import load_options


@pytest.mark.parametrize(
    ('kind', 'what'),
    [
        ('pipe', 'Not a regular file'),
        ('socket', 'No such device|Not a regular file'),
        ('device', 'Not a regular file'),
        ('endless', 'Not a regular file'),
        ('folder', 'Is a directory'),
        ('missing', 'No such file'),
        ('loop', 'symbolic links'),
    ],
)
def test_what_is_no_file(tmp_path: Path, kind: str, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path(kind)
    if kind == 'pipe':
        os.mkfifo(path)
    elif kind == 'socket':
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    elif kind in ('device', 'endless'):
        path.symlink_to('/dev/null' if kind == 'device' else '/dev/zero')
    elif kind == 'folder':
        path.mkdir()
    elif kind == 'loop':
        path.symlink_to(path)
    with pytest.raises(ConfigError, match=what) as caught:
        load_options(path)
    assert caught.value.problems[0].option == f'-opt {kind}'


def test_a_file_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_files, 'MOST_BYTES', 10)
    (tmp_path / 'x.yml').write_text('name: larger than that')
    with pytest.raises(ConfigError, match='too large'):
        load_options(tmp_path / 'x.yml')

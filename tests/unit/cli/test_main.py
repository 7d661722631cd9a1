"""How commands end: pipes that are closed, interruptions, terminals that know ASCII alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mg_basicsr.cli import convert, plan, script, train
from mg_basicsr.cli.main import main
from tests.helpers.stock_options import PAPER, stock


@pytest.fixture
def options(tmp_path: Path) -> Path:
    path = tmp_path / 'größe雨.yml'
    path.write_text(yaml.safe_dump(stock(block=PAPER), sort_keys=False))
    return path


def process(*arguments: object, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, '-m', 'mg_basicsr', *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize('form', [['--json'], ['--yaml'], []], ids=str)
def test_a_reader_that_has_gone(options: Path, form: list[str]) -> None:
    """As `head -1` leaves it; the pipe is closed before anything is printed."""
    started = process('plan', '-opt', options, *form)
    assert started.stdout is not None and started.stderr is not None
    started.stdout.close()
    told = started.stderr.read().decode()
    started.stderr.close()
    assert started.wait() in (1, 141) and told == ''


@pytest.mark.parametrize('form', [['--json'], [], ['--nothing']], ids=str)
def test_a_terminal_that_knows_ascii_alone(options: Path, form: list[str]) -> None:
    for path in (options, options.with_name('ñ.yml')):
        done = process('plan', '-opt', path, *form, PYTHONIOENCODING='ascii', PYTHONUTF8='0')
        out, told = done.communicate()
        assert done.returncode == (0 if path == options and form != ['--nothing'] else 2)
        assert b'Traceback' not in told and (out + told).isascii()


@pytest.mark.parametrize(('name', 'module'), [('plan', plan), ('convert', convert)])
def test_an_interruption(
    name: str, module: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(arguments: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, 'run', interrupted)
    with pytest.raises(SystemExit) as ended:
        main([name, '-opt', 'x.yml', *(['-o', 'y.yml'] if name == 'convert' else [])])
    assert ended.value.code == 130 and capsys.readouterr().err == '\ninterrupted\n'


@pytest.mark.parametrize(('name', 'module'), [('train', train), ('run', script)])
def test_a_training_script_gets_its_interruption(name: str, module: object, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(arguments: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, 'run', interrupted)
    with pytest.raises(KeyboardInterrupt):
        main([name, *(['-opt'] if name == 'train' else []), 'x'])

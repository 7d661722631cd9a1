"""The tests themselves: the length of their files, and processes that are forks of one server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.trainer import Trainer

TESTS = Path(__file__).parents[1]
MAX_LINES = 400
REPORT = (
    'import json, os, sys\n'
    'print(json.dumps([sys.argv, sys.path[0], os.getcwd(), os.environ.get("COLOUR"), __name__, sys.stdin.read()]))\n'
    'print("problem", file=sys.stderr)\n'
)


def test_files_are_short() -> None:
    lengths = {str(path.relative_to(TESTS)): len(path.read_text('utf-8').splitlines()) for path in TESTS.rglob('*.py')}
    assert len(lengths) > 50
    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}


@pytest.mark.parametrize('module', [False, True], ids=['script', 'module'])
def test_a_fork_is_as_a_process_that_was_started(trainer: Trainer, tmp_path: Path, module: bool) -> None:
    """What the program sees, and what it prints to each stream."""
    for folder in (tmp_path / 'code', tmp_path / 'package'):
        folder.mkdir()
        (folder / 'report.py').write_text(REPORT)
    arguments = ['-m', 'package.report', 'a b', '-c'] if module else ['code/report.py', 'a b', '-c']
    files = [tmp_path / 'stdout', tmp_path / 'stderr']
    code = trainer.run(arguments, tmp_path, files, {'COLOUR': 'grün'})
    expected = subprocess.run(
        [sys.executable, *arguments], cwd=tmp_path, capture_output=True, stdin=subprocess.DEVNULL,
        env={**os.environ, 'COLOUR': 'grün'},
    )  # fmt: skip
    assert code == expected.returncode == 0
    assert [path.read_bytes() for path in files] == [expected.stdout, expected.stderr]
    assert b'report' in expected.stdout and b'problem' in expected.stderr


@pytest.mark.parametrize(
    ('program', 'code'),
    [
        ('', 0),
        ('raise SystemExit', 0),
        ('raise SystemExit(0)', 0),
        ('raise SystemExit(75)', 75),
        ('raise SystemExit("no")', 1),
        ('raise ValueError("no")', 1),
        ('import os; os._exit(3)', 3),
        ('import os; os.kill(os.getpid(), 9)', -signal.SIGKILL),
        ('import os; os.kill(os.getpid(), 2)', -signal.SIGINT),  # also where it is ignored, as in a background job
        ('import atexit, os; atexit.register(os._exit, 4)', 4),
        ('import os, threading; threading.Timer(0.1, os._exit, [5]).start()', 5),
    ],
)
def test_exit_codes(trainer: Trainer, tmp_path: Path, program: str, code: int) -> None:
    (tmp_path / 'program.py').write_text(program)
    output = tmp_path / 'output'
    assert trainer.run(['program.py'], tmp_path, [output]) == code
    assert ('ValueError: no' in output.read_text()) == ('ValueError' in program)


def test_forks_share_nothing(trainer: Trainer, tmp_path: Path) -> None:
    (tmp_path / 'program.py').write_text(
        'import os, sys, torch\n'
        'assert not hasattr(torch, "left") and "left" not in sys.modules and "LEFT" not in os.environ\n'
        'torch.left = sys.modules["left"] = os.environ["LEFT"] = "here"\n'
    )
    for _ in range(2):
        assert trainer.run(['program.py'], tmp_path, [tmp_path / 'output']) == 0, (tmp_path / 'output').read_text()


def test_a_process_that_takes_too_long_is_killed(
    trainer: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr('tests.helpers.trainer.SECONDS', 1)
    (tmp_path / 'program.py').write_text('import time\ntime.sleep(60)\n')
    assert trainer.run(['program.py'], tmp_path, [tmp_path / 'output']) == -signal.SIGKILL

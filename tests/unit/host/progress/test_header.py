"""The header of a log: the command as typed, versions and commits."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mg_basicsr.host.progress.header import command_as_typed, commits, header, header_lines, short_hash

TORCHRUN = {'TORCHELASTIC_RUN_ID': 'none', 'LOCAL_WORLD_SIZE': '4', 'WORLD_SIZE': '8'}
COMMANDS = [
    (
        ['/p/python', '/p/mg-basicsr', 'train', '-opt', 'a.yml', '--force_yml', 'a:b=1'],
        {},
        'mg-basicsr train -opt a.yml --force_yml a:b=1',
    ),
    (
        ['python3.11', '-m', 'mg_basicsr', 'run', 'train.py', '-opt', 'a b.yml'],
        {},
        "python -m mg_basicsr run train.py -opt 'a b.yml'",
    ),
    (['/p/python', 'train.py', '-opt', 'a.yml'], {'SLURM_STEP_NUM_TASKS': '8'}, 'srun -n 8 python train.py -opt a.yml'),
    (
        ['/p/python', '-u', 'train.py', '--launcher', 'pytorch'],
        TORCHRUN,
        'torchrun --nnodes=2 --nproc_per_node=4 train.py --launcher pytorch',
    ),
    ([], {}, 'python'),
]


@pytest.mark.parametrize(('argv', 'environment', 'command'), COMMANDS)
def test_the_command_as_typed(argv: list[str], environment: dict[str, str], command: str) -> None:
    assert command_as_typed(argv, environment) == command


def test_commits(tmp_path: Path) -> None:
    repository, other = tmp_path / 'mine', tmp_path / 'other'
    (repository / 'inside').mkdir(parents=True)
    other.mkdir()

    def git(*arguments: str) -> None:
        identity = ['-c', 'user.name=a', '-c', 'user.email=a@b']
        subprocess.run(['git', *identity, *arguments], cwd=repository, check=True, capture_output=True)

    git('init')
    assert commits(repository) == {}  # no commit yet
    (repository / 'a').write_text('1')
    git('add', 'a')
    git('commit', '-m', 'a')
    ((name, commit),) = commits(repository / 'inside', other).items()
    assert name == 'mine' and len(commit) == 12
    (repository / 'a').write_text('2')
    assert commits(repository) == {'mine': f'{commit}-dirty'}


def test_without_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('PATH', '')
    assert commits(Path(__file__).parent) == {}


def test_lines() -> None:
    facts = header({'stages': [1]})
    assert facts['plan'] == short_hash({'stages': [1]}) != short_hash({'stages': [2]})
    lines = header_lines(facts)
    assert lines[0].startswith('command: ') and 'mg-basicsr ' in lines[2] and lines[3] == f'plan {facts["plan"]}'

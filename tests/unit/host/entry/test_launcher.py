"""What `--launcher` says against the processes that a launcher has started."""

from __future__ import annotations

import sys

import pytest

from mg_basicsr.errors import ConfigError
from mg_basicsr.host.entry.launcher import NEEDED, SIZES, check_environment, check_one_process


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (*SIZES, *NEEDED['pytorch'], *NEEDED['slurm'], 'LOCAL_WORLD_SIZE'):
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.parametrize('name', list(SIZES))
@pytest.mark.parametrize(('value', 'refused'), [('', False), ('1', False), ('0', False), ('x', False), ('2', True)])
def test_several_processes_without_the_flag(
    name: str, value: str, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    if not refused:
        check_one_process()
        return
    with pytest.raises(ConfigError, match=f'--launcher: none, but this is one of 2 processes.*{name}=2'):
        check_one_process()


def test_a_job_of_several_tasks_may_start_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('SLURM_NTASKS', '8')
    check_one_process()


@pytest.mark.parametrize(
    ('program', 'arguments', 'local', 'expected'),
    [
        ('/bin/mg-basicsr', ['-opt', 'a b.yml', '--launcher', 'none', '--local_rank', '0', '--auto_resume'], '',
         "torchrun --nproc_per_node=4 -m mg_basicsr train -opt 'a b.yml' --auto_resume --launcher pytorch"),
        ('train.py', ['-opt', 'x.yml', '--launcher=none'], '2',
         'torchrun --nproc_per_node=2 train.py -opt x.yml --launcher pytorch'),
    ],
)  # fmt: skip
def test_the_command_to_use(
    program: str, arguments: list[str], local: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, 'argv', [program, *arguments])
    monkeypatch.setenv('WORLD_SIZE', '4')
    monkeypatch.setenv('LOCAL_WORLD_SIZE', local)
    with pytest.raises(ConfigError) as caught:
        check_one_process()
    assert caught.value.problems[0].remedy == expected


@pytest.mark.parametrize('launcher', list(NEEDED))
def test_a_launcher_that_has_started_nothing(launcher: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in NEEDED[launcher]:
        with pytest.raises(ConfigError, match=f'--launcher {launcher}: .*{variable}.* not in the environment'):
            check_environment(launcher)
        monkeypatch.setenv(variable, '0')
    check_environment(launcher)
    check_environment('none')

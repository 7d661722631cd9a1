"""What `--launcher` says against the processes that a launcher has started."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mg_basicsr.config.resolve import running_world_size
from mg_basicsr.errors import ConfigError
from mg_basicsr.host.entry.launcher import NEEDED, SIZES, check_environment, check_meeting, check_one_process, rank_of


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (*SIZES, *NEEDED['pytorch'], *NEEDED['slurm'], 'LOCAL_WORLD_SIZE'):
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.parametrize('name', list(SIZES))
@pytest.mark.parametrize(
    ('value', 'refused'),
    [('', False), ('1', False), ('0', False), ('x', False), ('²', False), ('2', True), (' 2 ', True)],
)
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


@pytest.mark.parametrize(
    ('launcher', 'changes', 'told'),
    [
        ('pytorch', {'RANK': 'x'}, "RANK='x' is no number"),
        ('pytorch', {'RANK': '-1'}, "RANK='-1' is no number"),
        ('pytorch', {'WORLD_SIZE': '2.0'}, "WORLD_SIZE='2.0' is no number"),
        ('pytorch', {'MASTER_PORT': 'tcp'}, "MASTER_PORT='tcp' is no number"),
        ('pytorch', {'MASTER_ADDR': ''}, 'MASTER_ADDR is not in the environment'),
        ('pytorch', {'RANK': '2'}, 'RANK=2 of WORLD_SIZE=2 processes'),
        ('slurm', {'SLURM_PROCID': '7'}, 'SLURM_PROCID=7 of SLURM_NTASKS=2 processes'),
        ('slurm', {'SLURM_NTASKS': 'two'}, "SLURM_NTASKS='two' is no number"),
        ('slurm', {'SLURM_STEP_NUM_TASKS': '1'}, 'one of 1 processes (SLURM_STEP_NUM_TASKS), and it would wait for 2'),
        ('slurm', {'PATH': ''}, 'scontrol, which names the host where the ranks meet, is not on the PATH'),
        ('pytorch', {}, ''),
        ('slurm', {'SLURM_STEP_NUM_TASKS': '2'}, ''),
    ],
)
def test_an_environment_that_would_end_in_a_traceback_or_wait_for_ever(
    launcher: str, changes: dict[str, str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / 'scontrol').write_text('#!/bin/sh\n')
    (tmp_path / 'scontrol').chmod(0o755)
    whole = {'RANK': '1', 'WORLD_SIZE': '2', 'MASTER_ADDR': 'here', 'MASTER_PORT': '29500', 'PATH': str(tmp_path)}
    for variable, value in {**whole, **dict(zip(NEEDED['slurm'], ('1', '2', 'n1'), strict=True)), **changes}.items():
        monkeypatch.setenv(variable, value)
    if not told:
        check_environment(launcher)
        check_meeting(launcher)
        return
    with pytest.raises(ConfigError) as caught:
        check_environment(launcher)
        check_meeting(launcher)
    assert told in caught.value.problems[0].what and all(caught.value.problems[0])


def test_variables_of_another_launcher_are_left_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job is often sent off from within another: srun hands on the whole environment."""
    for variable, value in {'RANK': '0', 'WORLD_SIZE': '1', 'SLURM_PROCID': '3', 'SLURM_NTASKS': '4'}.items():
        monkeypatch.setenv(variable, value)
    assert (rank_of('slurm'), running_world_size('slurm')) == (3, 4)
    assert (rank_of('pytorch'), running_world_size('pytorch')) == (0, 1)
    assert (rank_of('none'), running_world_size('none')) == (0, 1)

"""Several processes in one experiment: ranks without the launcher's flag, and a second run of the same name."""

from __future__ import annotations

import os

import pytest

from mg_basicsr.training import experiment_lock
from tests.helpers.checkpoints import refused
from tests.helpers.project import NewProject, Project
from tests.helpers.trainer import Trainer


@pytest.fixture
def project(new_project: NewProject) -> Project:
    project = new_project()
    project.shrink()
    project.write()
    return project


def test_ranks_without_the_flag(trainer: Trainer, project: Project) -> None:
    done = trainer.launch(
        project, '-m', 'mg_basicsr', 'train', '-opt', 'train.yml', check=False, WORLD_SIZE='2', RANK='1', LOCAL_RANK='1'
    )
    assert done.returncode == 2 and 'Traceback' not in done.stderr
    assert 'torchrun --nproc_per_node=2 -m mg_basicsr train -opt train.yml --launcher pytorch' in done.stderr
    assert not (project.root / 'experiments').exists()


@pytest.mark.parametrize('way', [[], ['--auto_resume']], ids=str)
def test_a_second_run_of_the_name(trainer: Trainer, project: Project, way: list[str]) -> None:
    """It changes nothing; when the first has ended, it starts."""
    trainer(project)
    before = sorted(path.name for path in project.experiment.rglob('*'))
    experiment_lock.lock_experiment(project.experiment)  # as the run that is still there would
    try:
        what, _, remedy = refused(trainer(project, *way, code=2))
        assert f'process {os.getpid()} on' in what and 'another name' in remedy
        assert sorted(path.name for path in project.experiment.rglob('*')) == before
        assert [path.name for path in project.experiment.parent.glob('*_archived_*')] == []
    finally:
        for _, descriptor in experiment_lock._held.values():
            os.close(descriptor)
        experiment_lock._held.clear()
    trainer(project, *way)
    assert len(list(project.experiment.parent.glob('*_archived_*'))) == (not way)

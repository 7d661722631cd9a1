"""What a start refuses: several runs in one experiment, a block that is misspelled, weights that are none."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mg_basicsr.training import experiment_lock
from tests.helpers.checkpoints import refused
from tests.helpers.project import BLOCK, NewProject, Project
from tests.helpers.trainer import TRAIN, Trainer


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


def test_a_folder_that_cannot_be_made(trainer: Trainer, project: Project) -> None:
    (project.root / 'experiments').write_text('')
    what, allowed, remedy = refused(trainer(project, code=2))
    assert what.startswith('name: ') and 'experiments/tiny cannot be made' in what and allowed and remedy


@pytest.mark.parametrize('way', ['train', 'run', 'import'])
@pytest.mark.parametrize('where', ['top level', 'another section'])
def test_a_block_that_is_none_never_trains_as_stock(trainer: Trainer, project: Project, way: str, where: str) -> None:
    (project.options if where == 'top level' else project.options['train'])['Multi_Grid'] = dict(BLOCK)
    project.write(block=None)
    (project.root / 'plain.py').write_text(TRAIN)
    (project.root / 'with_import.py').write_text('import mg_basicsr\n' + TRAIN)
    arguments = {'train': ['-m', 'mg_basicsr', 'train'], 'run': ['-m', 'mg_basicsr', 'run', 'plain.py']}
    done = trainer.launch(project, *arguments.get(way, ['with_import.py']), '-opt', 'train.yml', check=False)
    assert done.returncode == 2 and 'Multi_Grid' in done.stderr and 'Traceback' not in done.stderr
    assert not (project.root / 'experiments').exists()


@pytest.mark.parametrize(
    ('save', 'told'),
    [
        (lambda path: torch.save({'conv.weight': torch.ones(3)}, path), 'weights without a key (conv.weight)'),
        (lambda path: torch.save(torch.ones(3), path), 'no weights, but an object of type Tensor'),
        (lambda path: path.write_text('<!DOCTYPE html>'), 'it is an HTML page'),
        (lambda path: path.mkdir(), 'cannot be read: Is a directory'),
        (lambda path: os.mkfifo(path), 'it is a pipe'),
        (lambda path: None, 'cannot be read: No such file'),
    ],
    ids=['raw', 'tensor', 'page', 'folder', 'pipe', 'missing'],
)
def test_weights_that_are_none(trainer: Trainer, project: Project, save: Callable[[Path], object], told: str) -> None:
    save(project.root / 'weights.pth')
    project.options['path']['pretrain_network_g'] = 'weights.pth'
    project.write()
    what, allowed, remedy = refused(trainer(project, code=2))
    assert 'weights.pth' in what and told in what and allowed and 'weights_only' not in remedy
    if 'without a key' in told:
        assert 'path.param_key_g: ~' in remedy


@pytest.mark.parametrize(
    'form',
    ['{0}\t{1}\t({2},{3},3)\n', '{0} {1} ({2}, {3}, 3)\n', '{0}  {1} ({2},{3},3)  \n', '{0} {1} ({2},{3},3)\n\n'],
)
def test_lists_of_clips_that_the_host_cannot_read(trainer: Trainer, project: Project, form: str) -> None:
    """What `check` and `plan` take, trains."""
    train_set = project.options['datasets']['train']
    lines = Path(train_set['meta_info_file']).read_text().splitlines()
    words = [re.split(r'[ (,)]+', line) for line in lines]
    (project.root / 'list.txt').write_text(''.join(form.format(*line) for line in words))
    train_set['meta_info_file'] = 'list.txt'
    project.write()
    trainer(project)
    assert len(project.losses()) == 12

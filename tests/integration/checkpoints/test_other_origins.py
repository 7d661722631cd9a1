"""Checkpoints of BasicSR's own runs, ours in BasicSR, and files from strangers."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.helpers.checkpoints import copy_pair, refused, state
from tests.helpers.clips import meta_info, write_clips
from tests.helpers.project import NewProject, Project
from tests.helpers.trainer import Trainer

# as scripts have it since torch 2.6: the options are read, then a file is loaded, code and all
UNSAFE = """
import pickle, torch
import basicsr.train
parse_options = basicsr.train.parse_options
def parse_and_load(*args, **kwargs):
    result = parse_options(*args, **kwargs)
    torch.load('x.pth', None, pickle, weights_only=False)
    return result
basicsr.train.parse_options = parse_and_load
"""


@pytest.fixture(scope='module')
def stock(trainer: Trainer, make: NewProject, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """BasicSR's own run, on clips of the 100 frames that its REDS classes assume."""
    folder = tmp_path_factory.mktemp('hundred')
    write_clips(folder, {'001': 100})
    (folder / 'meta.txt').write_text(meta_info({'001': 100}))
    project = make()
    project.options['datasets']['train'] |= {
        'dataroot_gt': str(folder / 'GT'), 'dataroot_lq': str(folder / 'LQ'), 'meta_info_file': str(folder / 'meta.txt')
    }  # fmt: skip
    project.write(block=None)
    trainer(project)
    assert 'has no multigrid block' in project.log() and 'multigrid' not in state(project, 9)
    return project


def continued(stock: Project, make: NewProject, *iterations: int) -> Project:
    project = make()
    project.options = {**stock.options}
    project.write()
    copy_pair(stock, project, *iterations)
    return project


def test_a_checkpoint_of_basicsr_is_continued(trainer: Trainer, stock: Project, make: NewProject) -> None:
    """Another rate in the file counts; the groups' own rates in the state do not."""
    project = continued(stock, make, 3, 6)
    truncated = project.experiment / 'training_states/6.state'
    os.truncate(truncated, 1000)
    train = project.options['train']
    project.options['train'] = {**train, 'optim_g': {**train['optim_g'], 'lr': 5e-4}}
    project.write()
    trainer(project, '--auto_resume')
    assert "a checkpoint of BasicSR's own (iteration 3)" in project.log() and 'not bit-exact' in project.log()
    assert 'multigrid: continuing in stage 2/6' in project.log() and len(project.losses()) == 9
    assert set(state(project, 9)) == {'epoch', 'iter', 'optimizers', 'schedulers', 'multigrid'}
    rates = [float(line.split('lr:(')[1].split(',')[0]) for line in project.log().splitlines() if 'lr:(' in line]
    assert max(rates) == 5e-4


def test_a_checkpoint_of_basicsr_beyond_the_plan(trainer: Trainer, stock: Project, make: NewProject) -> None:
    project = continued(stock, make, 12)
    project.options['train'] = {**project.options['train'], 'total_iter': 6}
    project.write()
    what, _, remedy = refused(trainer(project, '--auto_resume', code=2))
    assert 'saved after iteration 12, but the plan has 6' in what and 'net_g_12.pth' in remedy


def test_basicsr_continues_ours(trainer: Trainer, stock: Project, make: NewProject, killed: Project) -> None:
    project = continued(stock, make)
    copy_pair(killed, project, 9)
    project.write(block=None)
    trainer(project, '--auto_resume')
    assert 'iter: 9.' in project.log() and len(project.losses()) == 3
    said = [line for line in project.log().splitlines() if 'multigrid:' in line]
    assert all('has no multigrid block' in line or 'multigrid: basicsr ' in line for line in said)


def with_code(path: Path, marker: Path) -> None:
    class Malicious:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(marker),)

    content = torch.load(path, weights_only=True)
    torch.save({**content, 'params': {'weight': Malicious()}, 'more': Malicious()}, path)


@pytest.mark.parametrize('way', ['--auto_resume', 'resume_state', 'network', 'pretrained'])
def test_nothing_of_a_strangers_file_is_executed(trainer: Trainer, killed: Project, way: str) -> None:
    marker = killed.root / 'executed'
    name = 'training_states/9.state' if way in ('--auto_resume', 'resume_state') else 'models/net_g_9.pth'
    path = killed.experiment / name
    if way == 'network':
        stock = torch.load(killed.experiment / 'training_states/9.state', weights_only=True)
        del stock['multigrid']  # which has the network's hash
        torch.save(stock, killed.experiment / 'training_states/9.state')
    elif way == 'resume_state':
        killed.options['path']['resume_state'] = str(path)
    elif way == 'pretrained':
        path = Path(shutil.copy(path, killed.root / 'pretrained.pth'))
        killed.options['path']['pretrain_network_g'] = str(path)
    with_code(path, marker)
    killed.write()
    what, allowed, remedy = refused(
        trainer(killed, *(['--auto_resume'] if way in ('--auto_resume', 'network') else []), code=2)
    )
    assert path.name in what and 'mkdir' in what and 'run code' in what
    assert 'weights_only=True' in allowed and remedy
    assert not marker.exists()


def test_a_script_that_asks_for_unsafe_loading_gets_safe_loading(trainer: Trainer, killed: Project) -> None:
    copy = Path(shutil.copy(killed.experiment / 'models/net_g_9.pth', killed.root / 'x.pth'))
    with_code(copy, killed.root / 'executed')
    what, _, _ = refused(trainer(killed, before=UNSAFE, code=2))
    assert 'x.pth' in what and 'mkdir' in what
    assert not (killed.root / 'executed').exists()


@pytest.mark.parametrize('name', ['9.state.pth', 'last.pt'])
def test_a_state_of_another_name_is_resumed_as_a_state(trainer: Trainer, killed: Project, name: str) -> None:
    path = shutil.copy(killed.experiment / 'training_states/9.state', killed.experiment / 'training_states' / name)
    killed.options['path']['resume_state'] = str(path)
    killed.options['train']['ema_decay'] = 0.5
    killed.write()
    trainer(killed)
    assert f'multigrid: resumed from {path}' in killed.log() and 'train.ema_decay 0.9 -> 0.5' in killed.log()


def test_weights_and_states_in_each_others_place(trainer: Trainer, killed: Project) -> None:
    states, models = killed.experiment / 'training_states', killed.experiment / 'models'
    for option, path, told in (
        ('resume_state', models / 'net_g_9.pth', 'it is not a training state, but has the weights of a network'),
        ('pretrain_network_g', shutil.copy(states / '9.state', killed.root), 'no weights, but a training state'),
    ):
        killed.options['path'] |= {'resume_state': None, 'pretrain_network_g': None, option: str(path)}
        killed.write()
        what, _, _ = refused(trainer(killed, code=2))
        assert told in what

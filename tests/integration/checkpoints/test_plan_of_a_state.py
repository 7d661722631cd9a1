"""The plan in a checkpoint against that of the options file."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from tests.helpers.checkpoints import assert_same_end, copy_pair, files_of, refused, state
from tests.helpers.foreign_sets import replace_frames
from tests.helpers.project import BLOCK, NewProject, Project
from tests.helpers.ranks import torchrun
from tests.helpers.trainer import Trainer


@pytest.mark.parametrize(
    ('block', 'told'),
    [
        ({'spatial': [0.75, 1.0]}, [f'stage {n}: gt_size 32 -> 48' for n in (1, 2, 3)]),
        ({'temporal': [1.0]}, ['6 -> 2 stages', 'stage 1: iters 2 -> 6, ', 'frames 3 -> 6', 'stage 2: ']),
        ({'warmup_iter': 3}, ['multigrid.warmup_iter 0 -> 3']),
        ({'base_batch_size': 4}, ['multigrid.base_batch_size 2 -> 4; stage 1: clips 2 -> 4', 'and 4 more']),
    ],
    ids=str,
)  # fmt: skip
def test_an_edited_block_is_told_stage_by_stage(
    trainer: Trainer, killed: Project, block: dict[str, Any], told: list[str]
) -> None:
    killed.write({**BLOCK, **block})
    before = files_of(killed)
    what, allowed, remedy = refused(trainer(killed, '--auto_resume', code=2))
    assert what.startswith('multigrid: not the plan of ') and all(part in what for part in told), what
    assert 'the plan that the run began with' in allowed
    assert 'path.pretrain_network_g: ' in remedy and 'net_g_9.pth' in remedy and 'another name' in remedy
    assert files_of(killed) == before and not list(killed.experiment.glob('*.log'))


@pytest.mark.parametrize('workers', [0, 2])
def test_what_does_not_change_the_plan_may_change(
    trainer: Trainer, killed: Project, undisturbed: Project, workers: int
) -> None:
    """One clip at a time in less memory: the global batch stays, now in two passes."""
    train_set = killed.options['datasets']['train']
    train_set['num_worker_per_gpu'] = workers
    if workers == 0:
        train_set['batch_size_per_gpu'] = 1
    killed.write({**BLOCK, 'keep_last': 3, 'uint8_transfer': False})
    trainer(killed, '--auto_resume')
    assert state(killed, 12)['multigrid']['plan'] == state(undisturbed, 12)['multigrid']['plan']
    if workers == 0:
        assert '2 clips per iteration are kept from the checkpoint' in killed.log()
        assert 'clips: 2 ' in killed.log()
        assert [float(loss) for loss in killed.losses()] == pytest.approx(
            [float(loss) for loss in undisturbed.losses()[9:]], rel=1e-3
        )
    else:
        assert_same_end(killed, undisturbed, 12)


def test_edits_beside_the_plan_are_logged(trainer: Trainer, killed: Project) -> None:
    killed.options['datasets']['train']['use_hflip'] = False
    killed.options['train']['ema_decay'] = 0.5
    killed.write()
    trainer(killed, '--auto_resume')
    told = [line.split('checkpoint: ')[1] for line in killed.log().splitlines() if 'changed since the' in line]
    assert told == ['datasets.train.use_hflip True -> False', 'train.ema_decay 0.9 -> 0.5']


def test_edits_of_an_optimiser_and_of_the_data(trainer: Trainer, killed: Project) -> None:
    """Those of the optimiser take effect, which BasicSR loads with the state; other data is told."""
    train_set = killed.options['datasets']['train']
    train_set['dataroot_lq'] = shutil.copytree(train_set['dataroot_lq'], killed.root / 'LQ')
    train_set['dataroot_lq'] = str(train_set['dataroot_lq'])
    replace_frames(killed.root / 'LQ')
    killed.options['train']['optim_g']['weight_decay'] = 0.25
    killed.write()
    trainer(killed, '--auto_resume')
    told = [line.split('checkpoint: ')[1] for line in killed.log().splitlines() if 'changed since the' in line]
    assert told == [
        'train.optim_g.weight_decay 0 -> 0.25',
        'datasets.train has other pixels in its first clip: see dataroot_gt, dataroot_lq and the store',
    ]
    assert {group['weight_decay'] for group in state(killed, 12)['optimizers'][0]['param_groups']} == {0.25}


def test_a_checkpoint_of_another_network_names_the_edit(trainer: Trainer, killed: Project) -> None:
    killed.options['network_g']['num_feat'] = 6
    killed.write()
    what, _, _ = refused(trainer(killed, '--auto_resume', code=2))
    assert 'changed since the checkpoint: network_g.num_feat 4 -> 6' in what


@pytest.mark.slow
def test_a_batch_that_the_ranks_cannot_share(trainer: Trainer, killed: Project) -> None:
    done = torchrun(trainer, killed, 3, '-m', 'mg_basicsr', 'train', '--auto_resume', check=False)
    assert done.returncode
    assert '2 clips cannot be divided among 3 ranks' in done.stderr
    assert 'the run began with 2 clips per iteration' in done.stderr


@pytest.mark.slow
def test_two_ranks_then_one_then_two(trainer: Trainer, make: NewProject, undisturbed: Project) -> None:
    """Same data and the same global batch; sums in another order."""
    project = make()
    project.options['datasets']['train']['batch_size_per_gpu'] = 1
    project.options['find_unused_parameters'] = True
    project.write()
    shutil.rmtree(project.experiment, ignore_errors=True)
    copy_pair(undisturbed, project, 3)
    torchrun(trainer, project, 2, '-m', 'mg_basicsr', 'train', '--auto_resume')
    assert 'resumed from' in project.log() and '3.state' in project.log()
    first = [float(loss) for loss in project.losses()]
    assert first == pytest.approx([float(loss) for loss in undisturbed.losses()[3:]], rel=0.02)
    for name in ('models/net_g_12.pth', 'training_states/12.state'):
        (project.experiment / name).unlink()
    trainer.train(project, '--auto_resume')
    assert '2 clips per iteration are kept from the checkpoint' in project.log()
    assert [float(loss) for loss in project.losses()] == pytest.approx(first[6:], rel=0.02)
    assert state(project, 12)['multigrid']['plan'] == state(undisturbed, 12)['multigrid']['plan']

"""A run that was killed and resumed equals the undisturbed one to the bit, wherever it was killed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.helpers.checkpoints import assert_same_end, copy_pair, state
from tests.helpers.networks import NARROW_FLOW
from tests.helpers.project import BLOCK, NewProject, Project
from tests.helpers.trainer import Trainer
from tests.integration.test_models import EDVR

Make = Callable[..., Project]

LAST = 12


@pytest.fixture(scope='module')
def frequent(new_project: NewProject) -> Make:
    """Makes a project that saves every iteration."""

    def make(**train_set: Any) -> Project:
        project = new_project()
        project.options['logger']['save_checkpoint_freq'] = 1
        project.options['datasets']['train'].update({'num_worker_per_gpu': 0, 'num_frame': 3, **train_set})
        return project

    return make


def recurrent(frequent: Make, **train_set: Any) -> Project:
    """BasicVSR with a flow network that is frozen in the first five iterations; validated in every fourth."""
    project = frequent(**train_set)
    project.options['train']['fix_flow'] = 6
    project.options['val']['val_freq'] = 4
    project.options['val']['metrics']['psnr']['better'] = 'lower'  # so that the last is not the best
    project.write({**BLOCK, 'temporal': [1.0], 'keep_last': 100})
    return project


def adversarial(frequent: Make, **train_set: Any) -> Project:
    project = frequent(**train_set)
    project.options['val'] = None
    del project.options['datasets']['val']
    project.options['model_type'] = 'VideoRecurrentGANModel'
    project.options['network_d'] = {'type': 'UNetDiscriminatorSN', 'num_in_ch': 3, 'num_feat': 4}
    train = project.options['train']
    train |= {
        'fix_flow': 4,
        'lr_flow': 1e-4,
        'total_iter': 6,
        'optim_d': {**train['optim_g'], 'lr': 2.5e-4},
        'gan_opt': {'type': 'GANLoss', 'gan_type': 'vanilla', 'loss_weight': 0.1},
        'scheduler': {'type': 'MultiStepLR', 'milestones': [2, 4], 'gamma': 0.5},
    }
    project.write({**BLOCK, 'temporal': [1.0], 'lr_schedule': 'host'})
    return project


def sliding_window(frequent: Make, **train_set: Any) -> Project:
    """EDVR, of which only the fusion module is trained in the first three iterations; with accumulation."""
    project = frequent(type='REDSDataset', dataroot_flow=None, batch_size_per_gpu=1, **train_set)
    project.options['val'] = None
    del project.options['datasets']['val']
    project.options |= {'model_type': 'EDVRModel', 'network_g': {**EDVR, 'num_frame': 3}}
    project.options['train'] |= {'tsa_iter': 4, 'dcn_lr_mul': 0.5, 'total_iter': 6}
    project.write({**BLOCK, 'base_batch_size': 2})
    return project


@pytest.fixture(scope='module')
def undisturbed(trainer: Trainer, frequent: Make) -> Callable[[Make], Project]:
    """Trains each kind once."""
    runs: dict[Make, Project] = {}

    def get(make: Make) -> Project:
        if make not in runs:
            runs[make] = make(frequent)
            trainer(runs[make], before=NARROW_FLOW)
        return runs[make]

    return get


def row(*values: Any, slow: bool = False) -> Any:
    return pytest.param(*values, marks=pytest.mark.slow if slow else ())


# kind, last iteration, iteration of the checkpoint, workers after it
ROWS = [
    row(recurrent, LAST, 1, 0),
    row(recurrent, LAST, 3, 1, slow=True),
    row(recurrent, LAST, 4, 0, slow=True),  # validated in it
    row(recurrent, LAST, 5, 2, slow=True),  # the flow network is freed in the next
    row(recurrent, LAST, 6, 0, slow=True),  # has just been
    row(recurrent, LAST, 7, 1, slow=True),
    row(recurrent, LAST, 9, 2),
    row(recurrent, LAST, 11, 0, slow=True),
    row(adversarial, 6, 1, 0, slow=True),
    row(adversarial, 6, 3, 0),
    row(adversarial, 6, 4, 0, slow=True),
    row(adversarial, 6, 5, 1, slow=True),
    row(sliding_window, 6, 2, 0),
    row(sliding_window, 6, 3, 0, slow=True),
    row(sliding_window, 6, 4, 0, slow=True),
]


@pytest.mark.parametrize(('make', 'last', 'killed', 'workers'), ROWS)
def test_resumed_to_the_bit(
    trainer: Trainer,
    frequent: Make,
    undisturbed: Callable[[Make], Project],
    make: Make,
    last: int,
    killed: int,
    workers: int,
) -> None:
    whole = undisturbed(make)
    project = make(frequent, num_worker_per_gpu=workers)
    copy_pair(whole, project, killed)
    trainer(project, '--auto_resume', before=NARROW_FLOW)
    assert project.losses() == whole.losses()[killed:]
    assert_same_end(project, whole, last)


def test_what_is_frozen_is_in_the_state(undisturbed: Callable[[Make], Project]) -> None:
    project = undisturbed(recurrent)
    frozen = {n: state(project, n)['multigrid']['frozen']['net_g'] for n in range(1, LAST + 1)}
    assert all(frozen[n] == frozen[1] and all('spynet' in name for name in frozen[1]) for n in range(1, 6))
    assert frozen[1] and not any(frozen[n] for n in range(6, LAST + 1))
    moments = {n: len(state(project, n)['optimizers'][0]['state']) for n in (5, 6)}
    assert moments[5] + len(frozen[1]) == moments[6]  # nothing was kept for what was frozen


def test_a_phase_whose_end_the_options_moved_to_before_the_checkpoint_is_over(
    trainer: Trainer, frequent: Make, undisturbed: Callable[[Make], Project]
) -> None:
    project = frequent()
    project.options['train'] |= {'fix_flow': 2}  # saved under 6, at 4: the host frees in iteration 2 alone
    project.options['val']['val_freq'] = 100
    project.write({**BLOCK, 'temporal': [1.0], 'keep_last': 100})
    copy_pair(undisturbed(recurrent), project, 4)
    trainer(project, '--auto_resume', before=NARROW_FLOW)
    recorded = state(undisturbed(recurrent), 4)['multigrid']['frozen']['net_g']
    assert recorded and not state(project, LAST)['multigrid']['frozen']['net_g']
    line = f'net_g: {len(recorded)} parameters were frozen when the checkpoint was saved, 0 are'
    assert line in project.log() and 'fix_flow: 2' in project.log()


def test_best_metrics_come_back(undisturbed: Callable[[Make], Project]) -> None:
    """The validation of iteration 4 came after its state was written, and is in it all the same."""
    project = undisturbed(recurrent)
    best = {n: state(project, n)['multigrid']['best_metrics'] for n in (3, 4, 5, LAST)}
    assert best[3] is None
    assert best[4] == best[5] and best[4]['REDS4']['psnr']['iter'] == 4
    assert best[LAST]['REDS4']['psnr']['iter'] < LAST and best[LAST]['REDS4']['psnr']['val'] > 5


def test_a_finished_run_has_nothing_left_to_do(
    trainer: Trainer, frequent: Make, undisturbed: Callable[[Make], Project]
) -> None:
    whole = undisturbed(adversarial)
    project = adversarial(frequent)
    copy_pair(whole, project, 6)
    trainer(project, '--auto_resume', before=NARROW_FLOW)
    assert 'all 6 iterations were trained already' in project.log() and project.losses() == []
    assert_same_end(project, whole, 6)


class TestParts:
    """An extension from outside, with a state: here a counter of training steps."""

    SCRIPT = """
import mg_basicsr, torch
from mg_basicsr.host.extensions import EXTENSIONS
from mg_basicsr.training.extension import Extension
class Counter(Extension):
    name = 'counter'
    steps = 0
    def around(self, call):
        def step(*args, **kwargs):
            self.steps += 1
            return call(*args, **kwargs)
        return step
    def state_dict(self):
        return {'steps': self.steps, 'sums': torch.full((2,), float(self.steps))}
    def load_state_dict(self, state):
        self.steps = state['steps']
        assert state['sums'].tolist() == [self.steps] * 2
EXTENSIONS.insert(1, lambda run: Counter())
"""

    def test_they_are_saved_and_restored(
        self, trainer: Trainer, frequent: Make, undisturbed: Callable[[Make], Project]
    ) -> None:
        whole = adversarial(frequent)
        trainer(whole, before=NARROW_FLOW + self.SCRIPT)
        project = adversarial(frequent)
        copy_pair(whole, project, 3)
        trainer(project, '--auto_resume', before=NARROW_FLOW + self.SCRIPT)
        assert state(project, 6)['multigrid']['parts']['counter']['steps'] == 6
        assert_same_end(project, whole, 6)

        without = adversarial(frequent)
        copy_pair(undisturbed(adversarial), without, 3)
        trainer(without, '--auto_resume', before=NARROW_FLOW + self.SCRIPT)
        assert 'counter: the checkpoint has none' in without.log()

"""Runs on a dataset with generators of its own, and with a network and a model that have some too."""

from __future__ import annotations

import pytest

from tests.helpers.checkpoints import assert_same_end, copy_pair
from tests.helpers.project import BLOCK, NewProject, Project, same_weights
from tests.helpers.trainer import Trainer

# a train.py whose dataset, network and model draw and count in ways of their own
THEIRS = """
import random
import mg_basicsr, numpy as np, torch
from basicsr.models.video_recurrent_model import VideoRecurrentModel
from basicsr.utils.registry import ARCH_REGISTRY, DATASET_REGISTRY, MODEL_REGISTRY
from mg_basicsr.demo.network import MultigridDemoNet

class Pipeline:
    def __init__(self):
        self.rng, self.other = np.random.default_rng(), [random.Random()]
    def __call__(self, image):
        noise = torch.from_numpy(self.rng.normal(0, 0.05, image.shape)).float()
        return image + noise * self.other[0].random()

@DATASET_REGISTRY.register()
class NoisyDataset(torch.utils.data.Dataset):
    def __init__(self, opt):
        self.opt, self.transforms, self.late = opt, (Pipeline(),), None
    def __len__(self):
        return 20
    def __getitem__(self, index):
        if self.late is None:
            self.late = torch.Generator()
            self.late.seed()
        gt = torch.from_numpy(np.random.default_rng(index).random((6, 3, 64, 64))).float()
        lq = self.transforms[0](gt[..., ::4, ::4]) + 0.01 * torch.rand((), generator=self.late)
        return {'lq': lq, 'gt': gt, 'key': str(index)}

@ARCH_REGISTRY.register()
class NoisyNet(MultigridDemoNet):
    def __init__(self, **options):
        super().__init__(**options)
        self.generator, self.passes = torch.Generator(), 0
        self.generator.seed()
    def forward(self, x):
        self.passes += self.training
        noise = torch.rand((), generator=self.generator) / self.passes if self.training else 0
        return super().forward(x) + 0.1 * noise

@MODEL_REGISTRY.register()
class WeightedModel(VideoRecurrentModel):
    weight = 1.0
    def optimize_parameters(self, current_iter):
        self.gt = self.gt * self.weight
        self.weight *= 0.99
        super().optimize_parameters(current_iter)
"""
LAST = 6


def project_of(new_project: NewProject, workers: int, **train_set: object) -> Project:
    project = new_project()
    project.shrink(**{'num_worker_per_gpu': workers, 'type': 'NoisyDataset', **train_set})
    project.options |= {'model_type': 'WeightedModel'}
    project.options['network_g']['type'] = 'NoisyNet'
    project.options['train']['total_iter'] = LAST
    project.options['logger']['save_checkpoint_freq'] = 1
    project.write(BLOCK)
    return project


@pytest.fixture(scope='module')
def undisturbed(trainer: Trainer, new_project: NewProject) -> Project:
    project = project_of(new_project, 0)
    trainer(project, before=THEIRS)
    return project


@pytest.mark.parametrize('workers', [1, 2])
def test_workers_make_no_difference(
    trainer: Trainer, new_project: NewProject, undisturbed: Project, workers: int
) -> None:
    project = project_of(new_project, workers)
    trainer(project, before=THEIRS)
    assert same_weights(project.weights(), undisturbed.weights())


@pytest.mark.parametrize(('killed', 'workers'), [(1, 0), (4, 2)])
def test_resumed_to_the_bit(
    trainer: Trainer, new_project: NewProject, undisturbed: Project, killed: int, workers: int
) -> None:
    project = project_of(new_project, workers)
    copy_pair(undisturbed, project, killed)
    trainer(project, '--auto_resume', before=THEIRS)
    assert project.losses() == undisturbed.losses()[killed:]
    assert_same_end(project, undisturbed, LAST)


COUNTING = """
@DATASET_REGISTRY.register()
class CountingDataset(NoisyDataset):
    calls = 0
    def __getitem__(self, index):
        self.calls += 1
        return {**super().__getitem__(index), 'turn': self.calls}
"""


@pytest.mark.parametrize('check', [True, False])
def test_a_dataset_that_counts_is_refused(trainer: Trainer, new_project: NewProject, check: bool) -> None:
    project = project_of(new_project, 0, type='CountingDataset')
    project.write({**BLOCK, 'check': check})
    text = trainer(project, before=THEIRS + COUNTING, code=2)
    assert 'CountingDataset: sample 0, read twice' in text and 'in turn' in text and 'Traceback' not in text


def test_it_is_trained_on_if_the_user_says_so(trainer: Trainer, new_project: NewProject) -> None:
    project = project_of(new_project, 0, type='CountingDataset')
    project.write({**BLOCK, 'adapter': {'repeatable': False}})
    assert 'in turn' in trainer(project, before=THEIRS + COUNTING)

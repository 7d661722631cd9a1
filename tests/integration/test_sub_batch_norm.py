"""A GAN whose discriminator has batch norm, trained by the real BasicSR while the number of clips varies."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from tests.helpers.project import NewProject, Project, same_weights
from tests.helpers.ranks import torchrun
from tests.helpers.trainer import TRAIN, Trainer

NORM = """
import json
import mg_basicsr
from torch import nn
from basicsr.utils.registry import ARCH_REGISTRY

@ARCH_REGISTRY.register()
class NormDiscriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 4, 3, 2), nn.BatchNorm2d(4), nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(4, 4, 3, 2), nn.BatchNorm2d(4), nn.LeakyReLU(0.2, inplace=True), nn.Conv2d(4, 1, 3),
        )
    def forward(self, x):
        parts = [getattr(layer.forward, 'parts', None) for layer in self.body if isinstance(layer, nn.BatchNorm2d)]
        with open('seen.txt', 'a') as file:
            file.write(json.dumps([len(x), parts]) + '\\n')
        return self.body(x)
"""
FRAMES = 3
CLIPS = (8, 4, 2)  # of the stages, two iterations each; the file's own batch is 2
STAGES = {
    'preset': 'stages',
    'check': False,  # whose steps would be seen too
    'max_clips': 8,
    'stages': [{'iters': 2, 'frames': FRAMES, 'gt_size': 32, 'clips': clips} for clips in CLIPS],
}
Train = Callable[[dict[str, Any]], Project]


@pytest.fixture(scope='module')
def with_discriminator(new_project: NewProject) -> Train:
    """Makes a project under a block."""

    def make(block: dict[str, Any]) -> Project:
        project = new_project()
        project.shrink()
        options = project.options
        options['datasets']['train'] |= {'num_frame': FRAMES, 'gt_size': 32}
        options |= {
            'model_type': 'VideoRecurrentGANModel',
            'network_d': {'type': 'NormDiscriminator'},
            'logger': {**options['logger'], 'save_checkpoint_freq': 3},
        }
        train = options['train']
        train |= {
            'total_iter': 6,
            'fix_flow': 0,
            'optim_d': dict(train['optim_g']),
            'gan_opt': {'type': 'GANLoss', 'gan_type': 'vanilla', 'loss_weight': 0.1},
            'scheduler': {'type': 'MultiStepLR', 'milestones': [100]},
        }
        project.write(block)
        return project

    return make


@pytest.fixture(scope='module')
def train(trainer: Trainer, with_discriminator: Train) -> Train:
    """Trains a project under a block."""

    def run(block: dict[str, Any]) -> Project:
        project = with_discriminator(block)
        trainer(project, before=NORM)
        return project

    return run


@pytest.fixture(scope='module')
def whole(train: Train) -> Project:
    return train(STAGES)


def seen(project: Project) -> list[tuple[int, Any]]:
    """Per iteration, the length of the discriminator's input (fed three times) and the parts of its layers."""
    lines = [json.loads(line) for line in (project.root / 'seen.txt').read_text().splitlines()]
    assert lines[::3] == lines[1::3] == lines[2::3]
    return [(length, parts) for length, parts in lines[::3]]


def discriminator(project: Project, iteration: int | str = 'latest') -> dict[str, torch.Tensor]:
    path = project.experiment / 'models' / f'net_d_{iteration}.pth'
    return dict(torch.load(path, weights_only=True)['params'])


def test_parts_follow_the_stages(whole: Project) -> None:
    assert seen(whole) == [(n * FRAMES, [n // 2] * 2) for n in CLIPS for _ in range(2)]
    lines = [line for line in whole.log().splitlines() if 'batch norm' in line]
    assert len(lines) == 1
    assert lines[0].endswith('2 batch norm layers of net_d over sub-batches; clips of one by stage: 2, 2, 2')


def test_checkpoint_is_that_of_plain_batch_norms(whole: Project) -> None:
    body = nn.Sequential(
        nn.Conv2d(3, 4, 3, 2), nn.BatchNorm2d(4), nn.LeakyReLU(0.2),
        nn.Conv2d(4, 4, 3, 2), nn.BatchNorm2d(4), nn.LeakyReLU(0.2), nn.Conv2d(4, 1, 3),
    )  # fmt: skip
    weights = {name.removeprefix('body.'): value for name, value in discriminator(whole).items()}
    body.load_state_dict(weights)
    assert body[1].num_batches_tracked == 3 * sum(2 for _ in CLIPS)


@pytest.mark.parametrize(
    ('block', 'parts'),
    [
        ({**STAGES, 'sub_batch_norm': False}, [None]),
        ({**STAGES, 'sub_batch_norm': 4}, [2, 1]),
        ({'preset': 'lin2022', 'min_lq_size': 4, 'temporal': [1.0], 'max_clips': 1}, [None]),  # two passes at the end
    ],
    ids=['off', 'four clips', 'clips do not vary'],
)
def test_option(train: Train, block: dict[str, Any], parts: list[int | None]) -> None:
    project = train(block)
    assert list(dict.fromkeys(layers[0] for _, layers in seen(project))) == parts
    assert ('over sub-batches' in project.log()) == (parts[0] is not None)


def test_resumed_in_the_middle_of_a_stage(trainer: Trainer, whole: Project) -> None:
    """Iteration 3 is the first of two with two parts: their statistics are in the state, beside the networks."""
    project = Project(whole.root.parent / 'resumed', whole.root)
    shutil.copytree(whole.root, project.root)
    for file in project.experiment.rglob('*'):
        if file.stem.endswith(('_6', '_latest')) or file.name == '6.state':
            file.unlink()
    trainer(project, '--auto_resume', before=NORM)
    assert same_weights(project.weights(), whole.weights())
    resumed, expected = discriminator(project), discriminator(whole)
    assert all(torch.equal(resumed[key], expected[key]) for key in expected)


@pytest.mark.slow
def test_two_ranks_share_a_sub_batch(trainer: Trainer, with_discriminator: Train) -> None:
    """With one clip on each of two ranks, statistics are those of both clips; both ranks end the run."""
    project = with_discriminator({**STAGES, 'sub_batch_norm': 2, 'base_batch_size': 2})
    guarded = ''.join(f'    {line}\n' for line in TRAIN.splitlines())
    (project.root / 'train.py').write_text(f"{NORM}if __name__ == '__main__':\n{guarded}")
    torchrun(trainer, project, 2, 'train.py')
    assert 'clips of one by stage: 2, 2, 2 (of 2 ranks)' in project.log()
    assert all(torch.isfinite(value).all() for value in discriminator(project).values())

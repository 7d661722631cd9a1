"""Each preset through BasicSR's own train loop: planned shapes, in several passes, to the end and resumed."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mg_basicsr.config.resolve import Settings, resolve
from mg_basicsr.parsing.options_file import load_options
from tests.helpers.project import NewProject, Project, same_weights
from tests.helpers.trainer import Trainer

TOTAL = 20
SMALL = {'min_lq_size': 8, 'min_frames': 3, 'warmup_iter': 2, 'max_clips': 1}
BLOCKS: dict[str, dict[str, Any]] = {
    'wu2020': {'preset': 'wu2020', 'lr_steps': [10, 15], 'epoch_factor': 3, **SMALL},
    'long cycle alone': {'preset': 'wu2020', 'lr_steps': [10, 15], 'short_cycle': False, **SMALL},
    'short cycle alone': {'preset': 'wu2020', 'lr_steps': [10, 15], 'long_cycle': False, **SMALL},
    'growing batches': {
        'preset': 'lin2022',
        'batch_growth': 'inverse',
        'spatial': [0.75, 1.0],
        'temporal': [0.5, 1.0],
        **SMALL,
    },
    'progressive': {
        'preset': 'progressive',
        'gt_sizes': [32, 48, 64],
        'mini_batch_sizes': [4, 4, 2],
        'iters': [3, 2, 1],
        'max_clips': 1,
    },
}


@pytest.fixture
def make(new_project: NewProject) -> NewProject:
    """Makes a small project of twenty iterations."""

    def make() -> Project:
        project = new_project()
        project.shrink()
        train = project.options['train']
        train['total_iter'] = TOTAL
        train['scheduler'] = {'type': 'MultiStepLR', 'milestones': [12], 'gamma': 0.5}
        return project

    return make


def settings_of(project: Project) -> Settings:
    return resolve(load_options(project.root / 'train.yml'), 1)


def shapes_in_log(log: str) -> list[tuple[int, int, int]]:
    """(clips, frames, GT size) of each iteration."""
    found = re.findall(r'clips: (\d+) frames: (\d+) gt_size: (\d+)', log)
    return [(int(clips), int(frames), int(size)) for clips, frames, size in found]


def planned_shapes(settings: Settings, start: int = 0) -> list[tuple[int, int, int]]:
    steps = (settings.plan(i) for i in range(start, settings.plan.total_iter))
    return [(step.shape.clips, step.shape.frames, step.shape.size) for step in steps]


@pytest.mark.parametrize(
    'block',
    [
        pytest.param(block, id=name, marks=[] if name == block['preset'] else pytest.mark.slow)
        for name, block in BLOCKS.items()
    ],
)
def test_trains_to_the_end_and_resumes_in_the_middle(
    trainer: Trainer, make: NewProject, block: Mapping[str, Any]
) -> None:
    whole, resumed = make(), make()
    for project in (whole, resumed):
        project.write(block)
    settings = settings_of(whole)
    plan = settings.plan
    assert max(batch.accumulate for stage in plan.stages for batch in stage.batches) > 1
    halfway = plan.total_iter // 2 + 1  # inside a short cycle, or a stage
    whole.options['logger']['save_checkpoint_freq'] = halfway
    whole.write(block)
    trainer(whole)
    assert shapes_in_log(whole.log()) == planned_shapes(settings)
    last = plan.stages[-1]
    assert (last.shape.frames, last.shape.size) == (6, 64)
    told = re.findall(r'px \(LQ 16\)(.*), lr', whole.log())[-1]  # with the other shapes of a short cycle
    others = [f'{shape.clips} x 6 x {shape.size} px' for shape in last.spec.shapes[:-1]]
    assert told == (f' in turn with {", ".join(others)}' if others else '')

    shutil.copytree(whole.experiment, resumed.experiment)
    for path in resumed.experiment.glob('train_*.log'):
        path.unlink()
    resumed.options['path']['resume_state'] = str(resumed.experiment / f'training_states/{halfway}.state')
    resumed.write(block)
    trainer(resumed)
    assert shapes_in_log(resumed.log()) == planned_shapes(settings, halfway)
    assert same_weights(whole.weights(), resumed.weights())


def test_images_under_progressive(trainer: Trainer, make: NewProject, clips: Path) -> None:
    """PairedImageDataset and an image network; another scheduler of the file is followed as it is."""
    project = make()
    train_set = project.options['datasets']['train']
    folders = {f'dataroot_{side.lower()}': str(clips / side / '002') for side in ('GT', 'LQ')}
    train_set.update(type='PairedImageDataset', meta_info_file=None, filename_tmpl='{}', **folders)
    for key in ('num_frame', 'val_partition', 'test_mode', 'interval_list', 'random_reverse'):
        del train_set[key]
    project.options['model_type'] = 'SRModel'
    project.options['network_g'] = {'type': 'MSRResNet', 'num_feat': 4, 'num_block': 1, 'upscale': 4}
    project.write(BLOCKS['progressive'])
    trainer(project)
    settings = settings_of(project)
    shapes = shapes_in_log(project.log())
    assert shapes == planned_shapes(settings)
    assert sorted(set(shapes)) == [(2, 1, 64), (4, 1, 32), (4, 1, 48)]
    rates = re.findall(r'lr:\(([\d.e-]+),\)', project.log())
    assert [float(rate) for rate in rates] == pytest.approx([1e-3] * 12 + [5e-4] * 8, rel=1e-3)

"""Which option is named for networks that refuse some shapes: tables of what they take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from mg_basicsr.config.resolve import Settings, resolve
from mg_basicsr.host.trial.diagnosis import Diagnosis, Takes
from mg_basicsr.host.trial.trials import distinct_batches
from mg_basicsr.parsing.options_file import load_options
from mg_basicsr.training.trial.steps import Failure
from tests.helpers.stock_options import stock

LIN2022 = {'preset': 'lin2022'}  # REDS: 15 frames, GT 256; LQ 32, then 64; 7, 11, 15 frames
STAGES = {'preset': 'stages', 'stages': [{'iters': 6000, 'gt_size': 144, 'frames': 5}, {'iters': 6000}]}
STAGES_ABOVE = {'preset': 'stages', 'stages': [{'iters': 6000}, {'iters': 6000, 'gt_size': 288}]}
WU2020 = {'preset': 'wu2020'}
PROGRESSIVE = {'preset': 'progressive', 'gt_sizes': [128, 256], 'mini_batch_sizes': [8, 4], 'iters': [1, 1]}
REFUSED = Failure('AssertionError: no', out_of_memory=False, final=False)
MEMORY = Failure('OutOfMemoryError: no', out_of_memory=True, final=False)


def settings(folder: Path, block: dict[str, Any]) -> Settings:
    path = folder / 'options.yml'
    path.write_text(yaml.safe_dump(stock(block=block)))
    return resolve(load_options(path), 1)


def told(resolved: Settings, takes: Takes, failure: Failure = REFUSED) -> list[str]:
    """The message about the first shape, in the order of a check, that is not taken."""
    for stage, batch in distinct_batches(resolved.plan):
        if not takes(batch.clips_per_rank, batch.shape.frames, batch.shape.size):
            return str(Diagnosis(resolved, stage, batch, takes).problem(failure)).splitlines()
    raise AssertionError('all shapes are taken')


def test_the_largest_pass_comes_first(tmp_path: Path) -> None:
    shapes = [batch.shape for _, batch in distinct_batches(settings(tmp_path, LIN2022).plan)]
    passes = [shape.frames * shape.size**2 for shape in shapes]
    assert passes == sorted(passes, reverse=True) and len(set(passes)) == 6


@pytest.mark.parametrize(
    ('block', 'takes', 'remedy'),
    [
        (LIN2022, lambda b, t, s: s >= 256, 'set multigrid.spatial: [1.0]'),
        (LIN2022, lambda b, t, s: s >= 4 * 48, 'set multigrid.min_lq_size: 48'),
        (LIN2022 | {'spatial': [0.6, 1.0]}, lambda b, t, s: s // 4 % 8 == 0, 'set multigrid.lq_multiple: 8'),
        (LIN2022 | {'spatial': [0.7, 1.0]}, lambda b, t, s: s // 4 % 16 == 0, 'set multigrid.lq_multiple: 16'),
        (LIN2022, lambda b, t, s: t >= 15, 'set multigrid.temporal: [1.0]'),
        (LIN2022, lambda b, t, s: t >= 9, 'set multigrid.min_frames: 9'),
        (LIN2022, lambda b, t, s: t * s >= 15 * 128, 'set multigrid.min_frames: 8'),
        (LIN2022 | {'extra': {'gt_size': 288, 'frames': 15, 'iters': 9}}, lambda b, t, s: s <= 256, 'multigrid.extra'),
        (STAGES, lambda b, t, s: s >= 200, 'set multigrid.stages[0].gt_size: 208'),
        (STAGES, lambda b, t, s: t >= 8, 'set multigrid.stages[0].frames: 8'),
        (WU2020, lambda b, t, s: s >= 4 * 48, 'set multigrid.min_lq_size: 48'),
        (WU2020, lambda b, t, s: s >= 256, 'plan no size below 64'),
        (WU2020, lambda b, t, s: t >= 15, 'plan no clip below 15 frames'),
        (PROGRESSIVE, lambda b, t, s: s >= 4 * 48, 'plan no size below 48'),
        (STAGES_ABOVE, lambda b, t, s: s <= 256, 'make multigrid.stages[1] smaller'),
        (LIN2022, lambda b, t, s: False, 'BasicSR would fail as well'),
    ],
)
def test_refusals(tmp_path: Path, block: dict[str, Any], takes: Takes, remedy: str) -> None:
    message = told(settings(tmp_path, block), takes)
    assert len(message) == 3 and message[0].endswith(': AssertionError: no')
    assert remedy in message[2]


@pytest.mark.parametrize(('fits', 'remedy'), [(2, 'max_clips: 2'), (1, 'max_clips: 1'), (3, 'max_clips: 2')])
def test_memory(tmp_path: Path, fits: int, remedy: str) -> None:
    """max_clips counts clips of the full shape."""
    resolved = settings(tmp_path, LIN2022)
    assert resolved.max_clips == 4
    message = told(resolved, lambda b, t, s: b * t * s**2 <= fits * 15 * 256**2, MEMORY)
    assert message[0].startswith('stage 6: 4 clips x 15 frames x 256 px (LQ 64) on one rank')
    assert remedy in message[2]


def test_memory_for_less_than_one_clip(tmp_path: Path) -> None:
    message = told(settings(tmp_path, LIN2022), lambda b, t, s: t * s**2 < 15 * 256**2, MEMORY)
    assert 'datasets.train.gt_size' in message[2]


def test_nothing_is_tried_on_a_device_that_is_gone(tmp_path: Path) -> None:
    resolved = settings(tmp_path, LIN2022)
    stage, batch = distinct_batches(resolved.plan)[0]

    def takes(clips: int, frames: int, size: int) -> bool:
        raise AssertionError('tried')

    assert 'device' in str(Diagnosis(resolved, stage, batch, takes).problem(Failure('CUDA error', False, True)))


def test_the_file_without_the_block(tmp_path: Path) -> None:
    resolved = settings(tmp_path, LIN2022)
    _, batch = distinct_batches(resolved.plan)[0]
    problem = Diagnosis(resolved, None, batch, lambda b, t, s: False).problem(REFUSED)
    assert str(problem).partition('\n')[0].startswith('the file without the block: ')

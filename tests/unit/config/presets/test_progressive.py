"""Options files in, plans out: preset progressive on Restormer's lists."""

from __future__ import annotations

import math
from itertools import accumulate
from typing import Any

import pytest

from mg_basicsr.errors import ConfigError
from tests.helpers.stock_options import described, resolved, stock

SIZES, MINI_BATCHES = [128, 160, 192, 256, 320, 384], [8, 5, 4, 2, 1, 1]
ITERS = [92_000, 64_000, 48_000, 36_000, 36_000, 24_000]
RESTORMER: dict[str, Any] = {
    'preset': 'progressive',
    'base_batch_size': 64,  # 8 GPUs with batch_size_per_gpu clips each
    'gt_sizes': SIZES,
    'mini_batch_sizes': MINI_BATCHES,
    'iters': ITERS,
}
LR, MINIMA, PERIODS = 3e-4, (3e-4, 1e-6), (92_000, 208_000)
FILE = {
    'num_gpu': 8,
    'scale': 1,
    'datasets.train.type': 'PairedImageDataset',
    'datasets.train.gt_size': 384,
    'datasets.train.batch_size_per_gpu': 8,
    'train.optim_g.lr': LR,
    'train.fix_flow': 0,
    'train.scheduler': {
        'type': 'CosineAnnealingRestartCyclicLR',
        'periods': list(PERIODS),
        'restart_weights': [1, 1],
        'eta_mins': list(MINIMA),
    },
}


def test_restormers_lists() -> None:
    plan = described(stock(block=RESTORMER, changes=FILE))
    stages = plan['stages']
    assert plan['total_iter'] == 300_000
    assert [stage['gt_size'] for stage in stages] == SIZES
    assert [stage['clips'] for stage in stages] == [8 * clips for clips in MINI_BATCHES]
    assert [stage['clips_per_rank'] for stage in stages] == MINI_BATCHES
    assert [stage['accumulate'] for stage in stages] == [1] * 6
    assert [stage['start'] + stage['iters'] for stage in stages] == list(accumulate(ITERS))
    assert {stage['frames'] for stage in stages} == {1}


@pytest.mark.parametrize('iteration', [0, 1, 50_000, 92_000, 92_001, 200_000, 299_999])
def test_the_rate_is_the_files_own(iteration: int) -> None:
    """A constant rate for the first period, a cosine from it to the last minimum over the second."""
    step = resolved(stock(block=RESTORMER, changes=FILE)).plan(iteration)
    angle = math.pi * (iteration - PERIODS[0]) / PERIODS[1]
    cosine = MINIMA[1] + (LR - MINIMA[1]) * (1 + math.cos(angle)) / 2
    assert step.rate(LR) == pytest.approx(LR if iteration <= PERIODS[0] else cosine, rel=1e-9)


@pytest.mark.parametrize(('world_size', 'accumulate'), [(8, 1), (4, 2), (2, 4), (1, 8)])
def test_the_clips_do_not_depend_on_the_ranks(world_size: int, accumulate: int) -> None:
    """One GPU takes as many pixels in a pass as the largest mini-batch of the lists."""
    stages = described(stock(block=RESTORMER, changes=FILE), world_size)['stages']
    assert [stage['clips'] for stage in stages] == [64, 40, 32, 16, 8, 8]
    assert [stage['clips_per_rank'] for stage in stages] == MINI_BATCHES
    assert {stage['accumulate'] for stage in stages} == {accumulate}


def test_without_a_base_batch_size_every_rank_has_the_mini_batch() -> None:
    block = {key: value for key, value in RESTORMER.items() if key != 'base_batch_size'}
    for world_size in (1, 3):
        stages = described(stock(block=block, changes=FILE), world_size)['stages']
        assert [stage['clips_per_rank'] for stage in stages] == MINI_BATCHES
        assert {stage['accumulate'] for stage in stages} == {1}


def test_ranks_that_do_not_divide_a_mini_batch() -> None:
    with pytest.raises(ConfigError) as caught:
        resolved(stock(block=RESTORMER, changes=FILE), world_size=16)
    assert [str(problem).splitlines()[0] for problem in caught.value.problems] == [
        f'multigrid.mini_batch_sizes[{n}]: {clips} clips cannot be divided among 16 ranks'
        for n, clips in ((1, 40), (4, 8), (5, 8))
    ]


@pytest.mark.parametrize('total', [300_000, 600_000, 150_000, 1000])
def test_iterations_are_those_of_the_file_in_proportion(total: int) -> None:
    plan = described(stock(block=RESTORMER, changes=FILE | {'train.total_iter': total}))
    assert plan['total_iter'] == total
    assert [stage['iters'] for stage in plan['stages']] == pytest.approx([n * total / 300_000 for n in ITERS], abs=1)


def test_video_at_scale_4() -> None:
    block = {'preset': 'progressive', 'gt_sizes': [128, 256], 'mini_batch_sizes': [16, 4], 'iters': [2, 1]}
    stages = described(stock(block=block))['stages']
    assert [(s['lq_size'], s['frames'], s['clips'], s['iters']) for s in stages] == [
        (32, 15, 64, 200_000), (64, 15, 16, 100_000)
    ]  # fmt: skip


def test_the_warm_up_is_the_files_own() -> None:
    """The rate is untouched: without a warm-up in the file there is none."""
    for own, planned in ((-1, 0), (500, 500)):
        assert resolved(stock(block=RESTORMER, changes=FILE | {'train.warmup_iter': own})).plan.warmup_iter == planned

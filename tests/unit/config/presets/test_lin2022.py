"""Options files in, plans out: preset lin2022 as the paper and the design have it."""

from __future__ import annotations

from typing import Any

import pytest

from mg_basicsr.config.resolve import running_world_size
from tests.helpers.stock_options import PAPER, REMOVED, described, resolved, stock

LIN2022: dict[str, Any] = {'preset': 'lin2022'}


def column(plan: dict[str, Any], key: str) -> list[Any]:
    return [stage[key] for stage in plan['stages']]


def shapes(options: dict[str, Any], world_size: int | None = None) -> list[tuple[int, int]]:
    """(LQ size, frames) of each stage."""
    plan = described(options, world_size)
    return list(zip(column(plan, 'lq_size'), column(plan, 'frames'), strict=True))


def test_the_papers_reds_run() -> None:
    plan = described(stock(block=PAPER), world_size=4)
    assert plan['total_iter'] == 75_000
    assert plan['world_size'] == 4
    assert column(plan, 'index') == [0, 1, 2, 3, 4, 5]
    assert column(plan, 'start') == [0, 12_500, 25_000, 37_500, 50_000, 62_500]
    assert column(plan, 'iters') == [12_500] * 6
    assert column(plan, 'clips') == [64] * 6
    assert column(plan, 'clips_per_rank') == [16, 16, 16, 8, 4, 4]
    assert column(plan, 'accumulate') == [1, 1, 1, 2, 4, 4]
    assert column(plan, 'lq_size') == [32, 32, 32, 64, 64, 64]
    assert column(plan, 'gt_size') == [128, 128, 128, 256, 256, 256]
    assert column(plan, 'frames') == [7, 11, 15, 7, 11, 15]
    assert column(plan, 'samples') == [800_000] * 6
    assert column(plan, 'short_cycle') == [None] * 6
    assert plan['samples'] == 4_800_000
    assert plan['cost'] == {'baseline': 1.0, 'multigrid': pytest.approx(0.4583, abs=1e-4)}
    assert plan['ideal_speedup'] == pytest.approx(2.18, abs=0.005)


@pytest.mark.parametrize(
    ('iteration', 'stage', 'lr_factor'),
    [
        (0, 0, 4 / 5000),  # warm-up
        (2_499, 0, 2 * 0.99726),
        (4_999, 0, 4 * 0.98908),
        (5_000, 0, 4 * 0.98907),
        (12_499, 0, 4 * 0.93302),
        (12_500, 1, 4.0),  # restarted, without a second warm-up
        (24_999, 1, 4 * 0.93302),
        (25_000, 2, 4.0),
        (37_499, 2, 4 * 0.93302),
        (37_500, 3, 4.0),
        (49_999, 3, 4 * 0.93302),
        (50_000, 4, 4.0),
        (62_499, 4, 4 * 0.93302),
        (62_500, 5, 4.0),
        (68_750, 5, (4 + 0.0005) / 2),  # half-way from the restarted rate to the minimum
        (74_999, 5, 0.0005),  # the minimum, 1e-7, is not scaled by the batch
    ],
)
def test_rates_of_the_papers_reds_run(iteration: int, stage: int, lr_factor: float) -> None:
    step = resolved(stock(block=PAPER), world_size=4).plan(iteration)
    assert step.stage.index == stage
    assert step.lr_factor == pytest.approx(lr_factor, rel=3e-4)
    assert step.rate(2e-4) == pytest.approx(2e-4 * lr_factor, rel=3e-4)


def test_a_parameter_group_keeps_its_multiple() -> None:
    """flow_lr_mul 0.125: lr = eta_min + (m * initial_lr - eta_min) * f, per group."""
    step = resolved(stock(block=PAPER)).plan(68_750)
    assert step.rate(0.125 * 2e-4) == pytest.approx(1e-7 + (4 * 0.125 * 2e-4 - 1e-7) * 0.5, rel=1e-9)


def test_json_rates_are_those_of_first_and_last_iteration() -> None:
    options = stock(block=PAPER)
    plan, facts = resolved(options).plan, described(options)
    for stage in facts['stages']:
        first, last = plan(stage['start']), plan(stage['start'] + stage['iters'] - 1)
        assert stage['lr_factor'] == [first.lr_factor, last.lr_factor]
        assert stage['lr'] == [pytest.approx(factor * 2e-4) for factor in stage['lr_factor']]


@pytest.mark.parametrize(
    ('kind', 'block', 'expected'),
    [
        ('reds', {}, [(32, 7), (32, 11), (32, 15), (64, 7), (64, 11), (64, 15)]),
        ('reds', {'temporal': [1.0]}, [(32, 15), (64, 15)]),
        ('reds', {'spatial': [1.0]}, [(64, 7), (64, 11), (64, 15)]),
        ('reds', {'spatial': [0.5, 0.75, 1.0], 'temporal': [1.0]}, [(32, 15), (48, 15), (64, 15)]),
        ('reds', {'spatial': [128, 160, 192, 256], 'temporal': [15]}, [(32, 15), (40, 15), (48, 15), (64, 15)]),
        ('reds', {'spatial': [1.0], 'temporal': [7, 9, 11, 15]}, [(64, 7), (64, 9), (64, 11), (64, 15)]),
        ('reds', {'temporal': [0.5, 1.0]}, [(32, 7), (32, 15), (64, 7), (64, 15)]),
        ('vimeo', {}, [(32, 6), (32, 10), (32, 14), (64, 6), (64, 10), (64, 14)]),  # 3, 5, 7 before mirroring
        ('vimeo', {'temporal': [8, 14]}, [(32, 8), (32, 14), (64, 8), (64, 14)]),
        ('edvr', {}, [(32, 5), (64, 5)]),
        ('edvr', {'temporal': [1.0]}, [(32, 5), (64, 5)]),
        ('edvr', {'temporal': [5]}, [(32, 5), (64, 5)]),
    ],
)
def test_cycles(kind: str, block: dict[str, Any], expected: list[tuple[int, int]]) -> None:
    assert shapes(stock(kind, LIN2022 | block)) == expected


@pytest.mark.parametrize(
    ('block', 'changes', 'expected'),
    [
        # LQ sizes are rounded down to lq_multiple (4 by default)
        ({'spatial': [0.55, 1.0]}, {}, [32, 64]),
        ({'spatial': [0.6, 1.0]}, {}, [36, 64]),
        ({'spatial': [0.6, 1.0], 'lq_multiple': 8}, {}, [32, 64]),
        ({'spatial': [0.6, 1.0], 'lq_multiple': 1}, {}, [38, 64]),
        ({'spatial': [148, 256]}, {}, [36, 64]),
        # not below min_lq_size, which is capped at the baseline's; equal neighbours are merged
        ({'spatial': [0.25, 0.5, 1.0]}, {}, [32, 64]),
        ({'spatial': [0.25, 0.5, 1.0], 'min_lq_size': 16}, {}, [16, 32, 64]),
        ({}, {'datasets.train.gt_size': 96}, [24]),
        ({'min_lq_size': 100}, {}, [64]),
        # min_lq_size gives way to the multiple, upwards: a window network takes nothing else
        ({'lq_multiple': 12}, {'datasets.train.gt_size': 240}, [36, 60]),
        ({'lq_multiple': 24, 'min_lq_size': 1}, {}, [24, 64]),
        # the full size is never rounded
        ({}, {'datasets.train.gt_size': 264}, [32, 66]),
        ({'lq_multiple': 16}, {'datasets.train.gt_size': 264}, [32, 66]),
    ],
)
def test_rounding_of_sizes(block: dict[str, Any], changes: dict[str, Any], expected: list[int]) -> None:
    options = stock(block=LIN2022 | {'temporal': [1.0]} | block, changes=changes)
    assert [size for size, _ in shapes(options)] == expected


@pytest.mark.parametrize(
    ('kind', 'block', 'changes', 'expected'),
    [
        ('reds', {'temporal': [0.1, 1.0]}, {}, [6, 15]),
        ('reds', {'temporal': [0.1, 0.2, 1.0], 'min_frames': 1}, {}, [1, 3, 15]),
        ('reds', {}, {'datasets.train.num_frame': 7}, [6, 7]),  # 3 and 5 both become 6
        ('reds', {}, {'datasets.train.num_frame': 5}, [5]),  # min_frames is capped at the baseline's
        ('reds', {}, {'datasets.train.num_frame': 30}, [15, 22, 30]),
        ('vimeo', {'min_frames': 7}, {}, [8, 10, 14]),  # mirrored: even
        ('vimeo', {}, {'datasets.train.num_frame': 5}, [6, 10]),  # 2 and 3 of 5, mirrored; at least 6
        ('vimeo', {}, {'datasets.train.num_frame': REMOVED}, [6, 10, 14]),
        ('vimeo', {}, {'datasets.train.flip_sequence': False}, [6, 7]),
    ],
)
def test_rounding_of_frames(kind: str, block: dict[str, Any], changes: dict[str, Any], expected: list[int]) -> None:
    options = stock(kind, LIN2022 | {'spatial': [1.0]} | block, changes)
    assert [frames for _, frames in shapes(options)] == expected


@pytest.mark.parametrize(
    ('block', 'expected'),
    [
        ({'spatial': [0.5, 0.75, 1.0]}, [(32, 7), (48, 11), (64, 15)]),
        ({'spatial': [0.5, 1.0], 'temporal': [0.5, 1.0]}, [(32, 7), (64, 15)]),
        ({'spatial': [0.25, 0.5, 1.0]}, [(32, 7), (32, 11), (64, 15)]),  # pairs differ though two sizes are equal
        ({'spatial': [0.25, 0.5, 1.0], 'temporal': [0.2, 0.4, 1.0]}, [(32, 6), (64, 15)]),  # equal pairs are merged
        ({'temporal': [1.0]}, [(32, 15), (64, 15)]),
    ],
)
def test_synchronous_order(block: dict[str, Any], expected: list[tuple[int, int]]) -> None:
    assert shapes(stock(block=LIN2022 | {'order': 'synchronous'} | block)) == expected


def test_the_last_stage_takes_the_rest() -> None:
    plan = described(stock(block=LIN2022, changes={'train.total_iter': 100_003, 'train.fix_flow': 0}))
    assert column(plan, 'iters') == [16_667] * 5 + [16_668]
    assert plan['total_iter'] == 100_003


@pytest.mark.parametrize(
    ('block', 'total_iter', 'first_lr'),
    [
        ({}, 300_000, 2e-4),
        ({'base_batch_size': 16}, 300_000, 2e-4),
        ({'base_batch_size': 16, 'batch_size': 64}, 75_000, 8e-4),
        ({'base_batch_size': 16, 'batch_size': 64, 'lr_scaling': 'linear'}, 75_000, 8e-4),
        ({'base_batch_size': 16, 'batch_size': 64, 'lr_scaling': 'sqrt'}, 75_000, 4e-4),
        ({'base_batch_size': 16, 'batch_size': 64, 'lr_scaling': 'none'}, 75_000, 2e-4),
        ({'base_batch_size': 32, 'batch_size': 8}, 1_200_000, 5e-5),  # m < 1 lengthens the run
        ({'base_batch_size': 32, 'batch_size': 8, 'lr_scaling': 'sqrt'}, 1_200_000, 1e-4),
        ({'base_batch_size': 28, 'batch_size': 36}, 233_333, 2e-4 * 9 / 7),
    ],
)
def test_batch_rules(block: dict[str, Any], total_iter: int, first_lr: float) -> None:
    settings = resolved(stock(block=LIN2022 | block))
    assert settings.plan.total_iter == total_iter
    assert settings.plan(settings.plan.stages[-1].start).rate(2e-4) == pytest.approx(first_lr)


def test_the_cost_is_relative_to_the_base_batch() -> None:
    """Clips of the whole run over clips of the baseline's: the batch size cancels out."""
    costs = [
        described(stock(block=LIN2022 | block))['cost']['multigrid']
        for block in ({}, {'base_batch_size': 16, 'batch_size': 64}, {'base_batch_size': 64, 'batch_size': 16})
    ]
    assert costs == pytest.approx([0.45833] * 3, abs=1e-4)


def test_small_lr_max_caps_stages_below_the_full_size() -> None:
    block = LIN2022 | {'small_lr_max': '2e-4', 'base_batch_size': 16, 'batch_size': 64, 'warmup_iter': 0}
    plan = described(stock('edvr', block, {'train.optim_g.lr': 4e-4}))
    assert [stage['lr'][0] for stage in plan['stages']] == pytest.approx([2e-4, 1.6e-3])
    assert plan['stages'][0]['lr'][1] == pytest.approx(
        1e-7 + (2e-4 - 1e-7) / 2, rel=1e-4
    )  # its cosine, from the cap on


def test_small_lr_max_does_not_raise_a_rate() -> None:
    plan = described(stock('edvr', LIN2022 | {'small_lr_max': 1e-3, 'warmup_iter': 0}))
    assert [stage['lr'][0] for stage in plan['stages']] == pytest.approx([2e-4, 2e-4])


def test_extra_stage() -> None:
    block = PAPER | {'extra': {'gt_size': 288, 'frames': 17, 'iters': 20_000}, 'warmup_iter': 0}
    plan = described(stock(block=block), world_size=4)
    assert plan['total_iter'] == 95_000
    assert column(plan, 'iters') == [12_500] * 6 + [20_000]
    assert (column(plan, 'lq_size')[-1], column(plan, 'frames')[-1]) == (72, 17)
    assert (column(plan, 'lq_size')[-2], column(plan, 'frames')[-2]) == (64, 15)
    assert column(plan, 'clips_per_rank')[-1] == 2  # 4 clips of the full shape would be too much
    # I_total has the extra stage in it, and that stage takes the final cosine
    ends = [stage['lr_factor'][1] for stage in plan['stages']]
    assert ends == pytest.approx([4 * 0.95775] * 6 + [0.0005], rel=1e-3)


def test_max_clips_is_the_budget_of_one_pass() -> None:
    plans = [described(stock(block=PAPER | {'max_clips': n}), world_size=4) for n in (1, 8, 16)]
    assert [column(plan, 'clips_per_rank') for plan in plans] == [
        [8, 4, 4, 2, 1, 1],
        [16, 16, 16, 16, 8, 8],
        [16, 16, 16, 16, 16, 16],
    ]


def test_a_recipe_for_eight_gpus_gives_the_same_batch_on_one() -> None:
    plan = described(stock(block=LIN2022 | {'base_batch_size': 32}), world_size=1)
    assert column(plan, 'clips') == [32] * 6
    assert column(plan, 'clips_per_rank') == [32, 16, 16, 8, 4, 4]
    assert column(plan, 'accumulate') == [1, 2, 2, 4, 8, 8]


@pytest.mark.parametrize(
    ('own', 'block', 'total_iter', 'expected'),
    [
        (-1, {}, 300_000, 5000),
        (-1, {}, 30_000, 2000),  # a fifteenth
        (0, {}, 30_000, 2000),
        (REMOVED, {}, 300_000, 5000),
        (100, {}, 300_000, 100),
        (100, {'warmup_iter': 300}, 300_000, 300),
        (100, {'warmup_iter': 0}, 300_000, 0),
        (100, {'warmup_iter': -1}, 300_000, 0),
        (-1, {'base_batch_size': 16, 'batch_size': 64}, 300_000, 5000),
        (-1, {'base_batch_size': 16, 'batch_size': 64}, 120_000, 2000),  # of the plan's iterations
    ],
)
def test_warmup(own: Any, block: dict[str, Any], total_iter: int, expected: int) -> None:
    changes = {'train.warmup_iter': own, 'train.total_iter': total_iter}
    assert resolved(stock(block=LIN2022 | block, changes=changes)).plan.warmup_iter == expected


@pytest.mark.parametrize(('num_gpu', 'asked', 'expected'), [(4, None, 4), ('auto', None, 1), (0, None, 1), (8, 2, 2)])
def test_world_size(num_gpu: Any, asked: int | None, expected: int) -> None:
    plan = described(stock(block=LIN2022, changes={'num_gpu': num_gpu}), asked)
    assert plan['world_size'] == expected
    assert column(plan, 'clips') == [4 * expected] * 6  # batch_size_per_gpu x ranks, as BasicSR would run it


@pytest.mark.parametrize(
    ('dataset', 'frames'),
    [
        ({'type': 'Vimeo90KDataset', 'num_frame': 7}, [7]),
        ({'type': 'Vimeo90KDataset', 'num_frame': -1}, [7]),
        ({'type': 'MultigridREDSDataset'}, [7, 11, 15]),
        ({'type': 'MultigridREDSDataset', 'recurrent': False, 'num_frame': 5}, [5]),
        ({'type': 'MultigridVimeo90KDataset', 'num_frame': -1, 'flip_sequence': True}, [6, 10, 14]),
        ({'type': 'MultigridVimeo90KDataset', 'num_frame': 7, 'recurrent': False}, [7]),
        ({'type': 'MultigridVimeo90KDataset', 'num_frame': 7, 'recurrent': False, 'flip_sequence': True}, [7]),
        ({'type': 'MultigridDataset', 'base_type': 'REDSDataset', 'num_frame': 5}, [5]),
        ({'type': 'MultigridDataset', 'base_type': 'DVDDataset', 'num_frame': 10}, [6, 7, 10]),
        ({'type': 'PairedImageDataset', 'num_frame': REMOVED}, [1]),
        ({'type': 'SomeVideoDataset', 'num_frame': 12}, [6, 9, 12]),
        ({'type': 'SomeImageDataset', 'num_frame': REMOVED}, [1]),
    ],
)
def test_dataset_types(dataset: dict[str, Any], frames: list[int]) -> None:
    changes = {f'datasets.train.{key}': value for key, value in dataset.items()}
    options = stock(block=LIN2022 | {'spatial': [1.0]}, changes=changes)
    assert [stage['frames'] for stage in described(options)['stages']] == frames


def test_rates_written_as_pyyaml_reads_them() -> None:
    """PyYAML takes `2e-4` for text."""
    options = stock(block=PAPER)
    as_text = stock(block=PAPER, changes={'train.optim_g.lr': '2e-4', 'train.scheduler.eta_min': '1e-7'})
    assert described(as_text) == described(options)


def test_without_a_minimum_the_rate_falls_to_zero() -> None:
    plan = described(stock(block=PAPER, changes={'train.scheduler.eta_min': REMOVED}))
    assert plan['stages'][-1]['lr_factor'][1] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ('environment', 'expected'),
    [
        ({}, 1),
        ({'WORLD_SIZE': '4'}, 4),
        ({'SLURM_NTASKS': '8'}, 8),
        ({'WORLD_SIZE': '2', 'SLURM_NTASKS': '8'}, 2),
        ({'WORLD_SIZE': ''}, 1),
        ({'WORLD_SIZE': '0'}, 1),
        ({'WORLD_SIZE': 'x'}, 1),
    ],
)
def test_ranks_of_a_launched_run(environment: dict[str, str], expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ('WORLD_SIZE', 'SLURM_NTASKS'):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert running_world_size() == expected


def test_batches_that_grow_as_shapes_shrink() -> None:
    """clips = batch_size * floor(T * S^2 / (t * s^2)), and as many times fewer iterations: the same samples."""
    block = PAPER | {'warmup_iter': 0}
    plain = described(stock(block=block), world_size=4)
    grown = described(stock(block=block | {'batch_growth': 'inverse'}), world_size=4)
    assert column(grown, 'clips') == [64 * n for n in (8, 5, 4, 2, 1, 1)]
    assert column(grown, 'iters') == [12_500 // n for n in (8, 5, 4, 2, 1, 1)]
    assert column(grown, 'samples') == [pytest.approx(n, rel=1e-3) for n in column(plain, 'samples')]
    assert grown['cost']['multigrid'] == pytest.approx(plain['cost']['multigrid'], rel=1e-3)
    assert [stage['lr_factor'][0] for stage in grown['stages']] == pytest.approx([4 * n for n in (8, 5, 4, 2, 1, 1)])


@pytest.mark.parametrize(('rule', 'factors'), [('sqrt', (8**0.5, 5**0.5, 2, 2**0.5, 1, 1)), ('none', (1,) * 6)])
def test_the_rate_of_batches_that_grow_is_scaled_by_the_rule(rule: str, factors: tuple[float, ...]) -> None:
    block = LIN2022 | {'batch_growth': 'inverse', 'lr_scaling': rule, 'warmup_iter': 0}
    plan = described(stock(block=block))
    assert [stage['lr_factor'][0] for stage in plan['stages']] == pytest.approx(list(factors))


def test_batches_that_grow_pass_over_the_files_schedule_once() -> None:
    block = LIN2022 | {'batch_growth': 'inverse', 'lr_schedule': 'host', 'lr_scaling': 'none', 'warmup_iter': 0}
    scheduler = {'type': 'MultiStepLR', 'milestones': [25_000, 60_000, 299_999], 'gamma': 0.5}
    plan = resolved(stock(block=block, changes={'train.scheduler': scheduler})).plan
    # stages of 50,000 of the file's iterations, in strides of 8 and 5
    assert [plan(i).lr_factor for i in (0, 3124, 3125, 6250, 6250 + 1999, 6250 + 2000)] == [1, 1, 0.5, 0.5, 0.5, 0.25]
    assert plan(plan.total_iter - 2).lr_factor == 0.25
    assert plan(plan.total_iter - 1).lr_factor == 0.125

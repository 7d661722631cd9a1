"""Blocks that cannot be planned: what the user is told."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.problems import check_problems, problems_of
from tests.helpers.stock_options import PAPER, resolved, stock

LIN2022: dict[str, Any] = {'preset': 'lin2022'}
STAGE = {'iters': 10_000}
LISTS = {'gt_sizes': [128, 256], 'mini_batch_sizes': [4, 1], 'iters': [200_000, 100_000]}
PRESETS = 'lin2022 | wu2020 | short_clips | progressive | stages'


def lin(**keys: Any) -> dict[str, Any]:
    return {'preset': 'lin2022', **keys}


def wu(**keys: Any) -> dict[str, Any]:
    return {'preset': 'wu2020', **keys}


def progressive(**keys: Any) -> dict[str, Any]:
    return {'preset': 'progressive', **LISTS, **keys}


def stages(*entries: dict[str, Any]) -> dict[str, Any]:
    return {'preset': 'stages', 'stages': list(entries)}


# kind of file, block, changes to the file; then what the three lines hold: path and value, allowed, remedy
BROKEN_BLOCKS: list[tuple[str, Any, str, str, str]] = [
    ('reds', 'lin2022', "multigrid: 'lin2022'", 'preset', 'preset: lin2022'),
    ('reds', [1], 'multigrid: [1]', 'preset', 'preset: lin2022'),
    ('reds', {}, 'multigrid.preset: missing', PRESETS, 'set it'),
    ('reds', {'preset': 'lin2021'}, "multigrid.preset: 'lin2021'", PRESETS, 'correct it'),
    ('reds', {'preset': 'lin2021', 'spatial': 'x'}, "multigrid.preset: 'lin2021'", PRESETS, 'correct it'),
    ('reds', {'preset': 7}, 'multigrid.preset: 7', PRESETS, 'correct it'),
    ('reds', {'preset': ['lin2022']}, "multigrid.preset: ['lin2022']", PRESETS, 'correct it'),
    ('reds', lin(spatail=[1.0]), 'multigrid.spatail: no such option (value [1.0])', 'spatial', 'multigrid.spatial?'),
    ('reds', lin(Temporal=1), 'multigrid.Temporal: no such option', 'temporal', 'multigrid.temporal?'),
    ('reds', lin(warm_up=1), 'multigrid.warm_up: no such option', 'warmup_iter', 'multigrid.warmup_iter?'),
    ('reds', lin(qqqq=1), 'multigrid.qqqq: no such option', 'preset', 'remove it'),
    ('reds', LIN2022 | {5: 1}, 'multigrid.5: no such option', 'preset', 'remove it'),
    ('reds', LIN2022 | {'a\nb': 1}, r"multigrid.'a\nb': no such option", 'preset', 'remove it'),
    ('reds', lin(spatial=0.5), 'multigrid.spatial: 0.5', 'a list of fractions', 'correct it'),
    ('reds', lin(spatial=[]), 'multigrid.spatial: []', 'a list of fractions', 'correct it'),
    ('reds', lin(spatial=[1]), 'multigrid.spatial: [1]', 'whole numbers above 1', 'correct it'),
    ('reds', lin(spatial=[0.5, 1.5]), 'multigrid.spatial: [0.5, 1.5]', 'fractions', 'correct it'),
    ('reds', lin(spatial=[0.0, 1.0]), 'multigrid.spatial: [0.0, 1.0]', 'fractions', 'correct it'),
    ('reds', lin(spatial=[True, 1.0]), 'multigrid.spatial: [True, 1.0]', 'fractions', 'correct it'),
    ('reds', lin(spatial=[0.5]), 'multigrid.spatial: the last value, 0.5, gives 128', '256', '1.0'),
    ('reds', lin(spatial=[128, 300]), 'multigrid.spatial: 300', 'up to 256', 'multigrid.extra'),
    ('reds', lin(spatial=[130, 256]), 'multigrid.spatial: 130', 'multiples of 4', 'use 128'),
    ('reds', lin(temporal=[0.5, 0.75]), 'multigrid.temporal: the last value, 0.75, gives 11', '15', '1.0'),
    ('reds', lin(temporal=[7, 20]), 'multigrid.temporal: 20', 'up to 15', 'multigrid.extra'),
    ('vimeo', lin(temporal=[7, 14]), 'multigrid.temporal: 7', 'even frames up to 14', 'use 8'),
    ('edvr', lin(temporal=[0.5, 0.75, 1.0]), 'multigrid.temporal: [0.5, 0.75, 1.0]', '[1.0]', 'remove'),
    ('edvr', lin(temporal=[3, 5]), 'multigrid.temporal: [3, 5]', '[1.0]', 'remove'),
    ('edvr', lin(temporal=[7]), 'multigrid.temporal: [7]', '[1.0]', 'remove'),
    ('reds', lin(order='random'), "multigrid.order: 'random'", 'hierarchical | synchronous', 'correct it'),
    ('reds', lin(order='synchronous'), 'multigrid.order: synchronous', 'equal length', 'hierarchical'),
    ('reds', lin(base_batch_size=0), 'multigrid.base_batch_size: 0', 'from 1 to', 'correct it'),
    ('reds', lin(base_batch_size=2.5), 'multigrid.base_batch_size: 2.5', 'integer', 'correct it'),
    ('reds', lin(batch_size=64), 'multigrid.batch_size: 64', 'lr and total_iter', 'base_batch_size: 16'),
    ('reds', PAPER | {'batch_size': 10**12}, 'multigrid.batch_size: 1000000000000', 'from 1 to', 'correct it'),
    ('reds', PAPER | {'batch_size': 66}, 'multigrid.batch_size: 66', 'a multiple of 4', '68'),
    ('reds', PAPER | {'batch_size': 2}, 'multigrid.batch_size: 2', 'a multiple of 4', '4'),
    ('reds', lin(base_batch_size=30), 'multigrid.base_batch_size: 30', 'a multiple of 4', '32'),
    ('reds', lin(lr_scaling='log'), "multigrid.lr_scaling: 'log'", 'linear | sqrt | none', 'correct it'),
    ('reds', lin(lr_schedule='cosine'), "multigrid.lr_schedule: 'cosine'", 'restart | host', 'correct it'),
    ('reds', lin(small_lr_max='fast'), "multigrid.small_lr_max: 'fast'", 'a number > 0', 'correct it'),
    ('reds', lin(small_lr_max=0), 'multigrid.small_lr_max: 0', 'a number > 0', 'correct it'),
    ('reds', lin(small_lr_max=float('nan')), 'multigrid.small_lr_max: nan', 'a number > 0', 'correct it'),
    ('reds', lin(small_lr_max=float('inf')), 'multigrid.small_lr_max: inf', 'a number > 0', 'correct it'),
    ('reds', lin(small_lr_max=10**400), 'multigrid.small_lr_max: 1000', 'a number > 0', 'correct it'),
    ('reds', lin(warmup_iter='none'), "multigrid.warmup_iter: 'none'", 'an integer >= -1', 'correct it'),
    ('reds', lin(warmup_iter=True), 'multigrid.warmup_iter: true', 'an integer >= -1', 'correct it'),
    ('reds', lin(lq_multiple=0), 'multigrid.lq_multiple: 0', 'an integer >= 1', 'correct it'),
    ('reds', lin(sub_batch_norm=0), 'multigrid.sub_batch_norm: 0', 'an integer >= 1, or false', 'correct it'),
    ('reds', lin(sub_batch_norm=True), 'multigrid.sub_batch_norm: true', 'an integer >= 1, or false', 'correct it'),
    ('reds', lin(uint8_transfer=1), 'multigrid.uint8_transfer: 1', 'true or false', 'correct it'),
    ('reds', lin(stages=[STAGE]), 'multigrid.stages: not used by preset lin2022', 'stages', 'remove it'),
    ('reds', lin(extra=5), 'multigrid.extra: 5', 'gt_size, frames, iters', 'correct it'),
    ('reds', lin(extra={'gt_size': 288, 'frames': 17}), 'multigrid.extra.iters: missing', 'integer >= 1', 'set'),
    ('reds', lin(extra={'gt_size': 288, 'frames': 17, 'iters': 'x'}), "multigrid.extra.iters: 'x'", '>= 1', 'correct'),
    (
        'reds',
        lin(extra={'gt_size': 288, 'frames': 17, 'iters': 9, 'iter': 9}),
        'multigrid.extra.iter: no',
        '',
        '.iters?',
    ),
    ('reds', lin(extra={'gt_size': 287, 'frames': 17, 'iters': 9}), 'multigrid.extra.gt_size: 287', 'scale 4', '284'),
    ('reds', lin(extra={'gt_size': 128, 'frames': 17, 'iters': 9}), 'multigrid.extra.gt_size: 128', '256', '256'),
    ('reds', lin(extra={'gt_size': 288, 'frames': 9, 'iters': 9}), 'multigrid.extra.frames: 9', '15', '15'),
    ('vimeo', lin(extra={'gt_size': 288, 'frames': 15, 'iters': 9}), 'multigrid.extra.frames: 15', 'even', '16'),
    ('edvr', lin(extra={'gt_size': 288, 'frames': 7, 'iters': 9}), 'multigrid.extra.frames: 7', 'allowed: 5', '5'),
    ('reds', lin(lr_schedule='steps'), "multigrid.lr_schedule: 'steps' is not allowed", 'restart | host', 'correct it'),
    ('reds', lin(batch_growth='direct'), "multigrid.batch_growth: 'direct'", 'none | inverse', 'correct it'),
    ('reds', lin(short_cycle=[0.5]), 'multigrid.short_cycle: not used by preset lin2022', 'wu2020', 'remove it'),
    ('reds', lin(short_cycle='x'), "multigrid.short_cycle: not used by preset lin2022 (value 'x')", 'wu2020', 'remove'),
    ('reds', lin(iters=[1]), 'multigrid.iters: not used by preset lin2022', 'progressive', 'remove it'),
    # wu2020
    ('reds', wu(long_cycle=True), 'multigrid.long_cycle: true', '[time, size]', 'correct it'),
    ('reds', wu(long_cycle=[0.5, 1.0]), 'multigrid.long_cycle: [0.5, 1.0]', '[time, size]', 'correct it'),
    ('reds', wu(long_cycle=[[1.0, 1]]), 'multigrid.long_cycle: [[1.0, 1]]', '[time, size]', 'correct it'),
    ('reds', wu(long_cycle=[[0.5, 1.0]]), 'multigrid.long_cycle: the last entry', 'full shape', '[1.0, 1.0]'),
    ('reds', wu(long_cycle=[[20, 1.0], [1.0, 1.0]]), 'multigrid.long_cycle[0]: 20 frames', '15', 'use 1.0'),
    ('reds', wu(long_cycle=[[7, 300], [1.0, 1.0]]), 'multigrid.long_cycle[0]: 300 is above', '256', 'use 1.0'),
    ('edvr', wu(long_cycle=[[0.5, 0.5], [1.0, 1.0]]), 'multigrid.long_cycle[0]: 0.5 of the', '1.0', '[1.0, 0.5]'),
    ('reds', wu(short_cycle=0.5), 'multigrid.short_cycle: 0.5', 'or false', 'correct it'),
    ('reds', wu(short_cycle=[130]), 'multigrid.short_cycle: 130 GT pixels', 'multiples of 4', 'use 128'),
    ('reds', wu(epoch_factor=0), 'multigrid.epoch_factor: 0', 'a number > 0', 'correct it'),
    ('reds', wu(epoch_factor=10**6), 'multigrid.epoch_factor: 1000000', 'at most 1000', 'correct it'),
    ('reds', wu(finetune='no'), "multigrid.finetune: 'no'", 'true or false', 'correct it'),
    ('reds', wu(lr_schedule='host'), "multigrid.lr_schedule: 'host' is not", 'allowed: steps', 'correct it'),
    ('reds', wu(lr_steps=[]), 'multigrid.lr_steps.milestones: []', 'integers >= 1', 'correct it'),
    ('reds', wu(lr_steps={'gamma': 0.1}), 'multigrid.lr_steps.milestones: missing', 'integers >= 1', 'set it'),
    ('reds', wu(lr_steps=[9, 9]), 'multigrid.lr_steps: [9, 9]', 'ascending', 'without the block'),
    ('reds', wu(lr_steps=[9, 300_000]), 'multigrid.lr_steps: [9, 300000]', 'below train.total_iter', 'without'),
    ('reds', wu(batch_size=64), 'multigrid.batch_size: 64', 'lr and total_iter', 'base_batch_size: 16'),
    ('reds', wu(base_batch_size=30), 'multigrid.base_batch_size: 30', 'a multiple of 4', '32'),
    ('reds', wu(base_batch_size=10**6), 'multigrid.base_batch_size: 10000000 clips', 'at most 1000000', 'larger'),
    ('reds', wu(temporal=[1.0]), 'multigrid.temporal: not used by preset wu2020', 'lin2022', 'remove it'),
    # progressive
    ('reds', {'preset': 'progressive', **LISTS, 'iters': None}, 'multigrid.iters: missing', 'integers >= 1', 'set it'),
    ('reds', progressive(iters=[1]), 'multigrid.gt_sizes: 2 gt_sizes, 2 mini_batch_sizes, 1 iters', 'equal', 'give'),
    ('reds', progressive(gt_sizes=[130, 256]), 'multigrid.gt_sizes[0]: 130', 'multiples of scale 4', '128'),
    ('reds', progressive(gt_sizes=[512, 256]), 'multigrid.gt_sizes[0]: 512', 'gt_size 256', '256'),
    ('reds', progressive(gt_sizes=[64, 128]), 'multigrid.gt_sizes: the last is 128', 'full size', 'gt_size: 128'),
    ('reds', progressive(mini_batch_sizes=[0, 1]), 'multigrid.mini_batch_sizes: [0, 1]', 'from 1', 'correct it'),
    ('reds', progressive(base_batch_size=8), 'multigrid.mini_batch_sizes[1]: 2 clips', 'multiple of 4', 'ranks'),
    ('reds', progressive(lr_schedule='restart'), "multigrid.lr_schedule: 'restart' is not", 'allowed: host', 'correct'),
    # any preset
    (
        'reds',
        lin(precision='fp16'),
        "multigrid.precision: 'fp16' is not allowed",
        'float32 | bfloat16 | float16',
        'correct it',
    ),
    ('reds', lin(on_bad_frame='skip'), "multigrid.on_bad_frame: 'skip' is not allowed", 'error | skip_clip', 'correct'),
    ('reds', lin(store=5), 'multigrid.store: 5 is not allowed', 'allowed: a name', 'correct it'),
    ('reds', lin(keep_last=0), 'multigrid.keep_last: 0', 'an integer >= 1', 'correct it'),
    # explicit stages
    ('reds', {'preset': 'stages'}, 'multigrid.stages: missing', '{iters, frames', 'plan --yaml'),
    ('reds', {'preset': 'stages', 'stages': []}, 'multigrid.stages: []', '{iters, frames', 'plan --yaml'),
    ('reds', {'preset': 'stages', 'stages': {'a': 1}}, "multigrid.stages: {'a': 1}", '{iters, frames', 'plan --yaml'),
    ('reds', stages(STAGE, 7), 'multigrid.stages[1]: 7', 'frames', 'correct it'),
    ('reds', stages(STAGE, {}), 'multigrid.stages[1].iters: missing', 'an integer >= 1', 'set it'),
    ('reds', stages({'iters': 0}), 'multigrid.stages[0].iters: 0', 'an integer >= 1', 'correct it'),
    ('reds', stages(STAGE | {'size': 3}), 'multigrid.stages[0].size: no such option', 'gt_size', '.gt_size?'),
    ('reds', stages(STAGE | {'gt_size': 130}), 'multigrid.stages[0].gt_size: 130', 'multiples of 4', '128'),
    ('reds', stages(STAGE | {'clips': 10}), 'multigrid.stages[0].clips: 10', 'a multiple of 4', '12'),
    ('reds', stages(STAGE | {'lr': 2e-4}), 'multigrid.stages[0].lr: 0.0002', '[first, last, curve]', 'correct it'),
    ('reds', stages(STAGE | {'lr': [2e-4, 0, 'cos']}), 'multigrid.stages[0].lr', 'cosine N', 'correct it'),
    ('reds', stages(STAGE | {'lr': [2e-4, 0, 'cosine 0']}), 'multigrid.stages[0].lr', 'cosine N', 'correct it'),
    ('reds', stages(STAGE | {'lr': [2e-4, 0, 'host 1/0']}), 'multigrid.stages[0].lr', 'host M', 'correct it'),
    ('reds', stages(STAGE | {'lr': [2e-4, 0, 'host -1']}), 'multigrid.stages[0].lr', 'host M', 'correct it'),
    ('reds', stages(STAGE | {'lr': [2e-4, 0, 'host 1e999999999']}), 'multigrid.stages[0].lr', 'host M', 'correct it'),
    ('reds', stages(STAGE | {'lr': [0, 0, 'constant']}), 'multigrid.stages[0].lr', '[first, last', 'correct it'),
    ('reds', stages({**STAGE, 'short_cycle': [[8, 7]]}), 'multigrid.stages[0].short_cycle', '[clips', 'correct it'),
    (
        'reds',
        stages({**STAGE, 'short_cycle': [[8, 7, 128], [8, 7, 130]]}),
        'multigrid.stages[0].short_cycle[1].gt_size: 130',
        'multiples of 4',
        '128',
    ),
    (
        'reds',
        stages({**STAGE, 'short_cycle': [[8, 7, 128], [6, 7, 256]]}),
        'multigrid.stages[0].short_cycle: 6 clips',
        'a multiple of 4',
        '8',
    ),
    (
        'reds',
        stages({**STAGE, 'clips': 8, 'short_cycle': [[8, 7, 128]]}),
        'multigrid.stages[0].short_cycle: beside',
        'all three',
        'remove',
    ),
    ('reds', stages(STAGE | {'lr': [2e-4, 0, 'step 5']}), 'multigrid.stages[0].lr', 'step N G', 'correct it'),
    ('vimeo', stages(STAGE | {'frames': 7}), 'multigrid.stages[0].frames: 7', 'even', '8'),
    ('edvr', stages(STAGE | {'frames': 7}), 'multigrid.stages[0].frames: 7', 'allowed: 5', '5'),
    (
        'reds',
        stages(STAGE) | {'spatial': [1.0]},
        'multigrid.spatial: not used by preset stages',
        'lin2022',
        'remove it',
    ),
    (
        'reds',
        stages(STAGE) | {'batch_size': 8},
        'multigrid.batch_size: not used by preset stages',
        'lin2022',
        'remove it',
    ),
]


@pytest.mark.parametrize(('kind', 'block', 'what', 'allowed', 'remedy'), BROKEN_BLOCKS)
def test_broken_block(kind: str, block: Any, what: str, allowed: str, remedy: str) -> None:
    options = stock(kind, changes={'multigrid': block})
    check_problems(problems_of(options), what, allowed, remedy)


@pytest.mark.parametrize(
    ('scheduler', 'finetune', 'what'),
    [
        ({'type': 'MultiStepLR', 'milestones': []}, True, 'multigrid.finetune: true, but the rate has no step'),
        ({'type': 'MultiStepLR', 'milestones': [300_000]}, True, 'multigrid.finetune: true, but the rate has no step'),
        ({'type': 'MultiStepLR', 'milestones': []}, False, ''),
        ({'type': 'MultiStepLR', 'milestones': [9], 'restart_weights': [0]}, True, 'train.scheduler: its rate falls'),
    ],
)
def test_fine_tuning_needs_a_step(scheduler: dict[str, Any], finetune: bool, what: str) -> None:
    options = stock(block=wu(finetune=finetune), changes={'train.scheduler': scheduler})
    if what:
        (problem,) = problems_of(options)
        assert str(problem).startswith(what) and 'lr_steps' in problem.remedy
    else:
        assert resolved(options).plan.total_iter > 0


def test_mini_batches_of_a_fraction_of_a_clip() -> None:
    options = stock(block=progressive(base_batch_size=10, mini_batch_sizes=[8, 1]), changes={'num_gpu': 2})
    told = 'multigrid.mini_batch_sizes[1]: 1, which is 2.5 clips with base_batch_size 10 and batch_size_per_gpu 4'
    check_problems(problems_of(options), told, 'whole', 'GPUs')


def test_too_few_iterations_for_the_stages() -> None:
    changes = {'train.total_iter': 30, 'train.fix_flow': 0}
    for block in (wu(), lin(batch_growth='inverse'), progressive(iters=[1, 1000])):
        check_problems(problems_of(stock(block=block, changes=changes)), 'train.total_iter: 30, which', 'one', 'longer')


def test_values_that_are_hard_to_show() -> None:
    nested: list[Any] = []
    for _ in range(5000):
        nested = [nested]
    told = {
        'multigrid.min_frames: int, too long to show is not allowed': 10**5000,
        'multigrid.min_frames: list, too long to show is not allowed': nested,
        f"multigrid.min_frames: '{56 * 'x'}... is not allowed": 100 * 'x',
    }
    for what, value in told.items():
        (problem,) = problems_of(stock(block=LIN2022, changes={'multigrid.min_frames': value}))
        assert str(problem).splitlines()[0] == what

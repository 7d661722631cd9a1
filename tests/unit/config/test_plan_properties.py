"""What holds for the plan of any options file."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import yaml
from hypothesis import assume, event, given
from hypothesis import strategies as st

from mg_basicsr.config.explicit_block import explicit_block
from mg_basicsr.config.resolve import Settings
from mg_basicsr.errors import MultigridError
from mg_basicsr.schedule.describe import describe
from tests.helpers.stock_options import described, resolved, stock

FRACTIONS = st.floats(0.05, 1, allow_subnormal=False).map(lambda value: round(value, 3))
SCHEDULERS = st.sampled_from(
    [
        {'type': 'CosineAnnealingRestartLR', 'periods': [300, 400], 'restart_weights': [1, 0.5], 'eta_min': 1e-7},
        {'type': 'MultiStepLR', 'milestones': [100, 500], 'gamma': 0.5},
        {
            'type': 'CosineAnnealingRestartCyclicLR',
            'periods': [90, 200],
            'restart_weights': [1, 1],
            'eta_mins': [1e-5, 1e-6],
        },
    ]
)
NUM_FRAMES = {'reds': st.integers(1, 20), 'vimeo': st.integers(1, 7), 'edvr': st.sampled_from(range(1, 20, 2))}


@st.composite
def stock_changes(draw: st.DrawFn, kind: str) -> dict[str, Any]:
    """Values of an options file, by dotted path."""
    scale = draw(st.sampled_from([1, 2, 4]))
    return {
        'num_gpu': draw(st.sampled_from([1, 2, 3, 4, 8])),
        'scale': scale,
        'datasets.train.gt_size': scale * draw(st.integers(8, 80)),
        'datasets.train.num_frame': draw(NUM_FRAMES[kind]),
        'datasets.train.batch_size_per_gpu': draw(st.integers(1, 6)),
        'train.total_iter': draw(st.integers(20, 3000)),
        'train.warmup_iter': draw(st.sampled_from([-1, 0, 7])),
        'train.fix_flow': 0,
        'train.scheduler': draw(SCHEDULERS),
        'train.optim_g.lr': draw(st.floats(1e-5, 1e-3)),
    }


def some_of(draw: st.DrawFn, optional: Mapping[str, st.SearchStrategy[Any]]) -> dict[str, Any]:
    return {key: draw(values) for key, values in optional.items() if draw(st.booleans())}


ROUNDING = {
    'lq_multiple': st.sampled_from([1, 2, 4, 8, 12]),
    'min_lq_size': st.integers(1, 40),
    'min_frames': st.integers(1, 10),
}
OF_ALL = {'max_clips': st.integers(1, 20), 'warmup_iter': st.integers(-1, 500)}
OF_CYCLES = {
    **ROUNDING,
    **OF_ALL,
    'lr_scaling': st.sampled_from(['linear', 'sqrt', 'none']),
    'small_lr_max': st.floats(1e-5, 1e-3),
}
KINDS = st.sampled_from(['reds', 'vimeo', 'edvr'])


def batches(draw: st.DrawFn, world_size: int) -> dict[str, int]:
    """A batch and the one that the file was made for, both divisible; or neither."""
    if draw(st.booleans()):
        return {}
    most = {'base_batch_size': 8, 'batch_size': 16}
    return {key: world_size * draw(st.integers(1, limit)) for key, limit in most.items()}


@st.composite
def lin2022_files(draw: st.DrawFn) -> dict[str, Any]:
    """Options files of all kinds of datasets with a valid lin2022 block of any keys."""
    kind = draw(KINDS)
    changes = draw(stock_changes(kind))
    length = draw(st.integers(1, 4))
    block: dict[str, Any] = {'preset': 'lin2022', 'spatial': [*draw(st.lists(FRACTIONS, max_size=length)), 1.0]}
    if kind != 'edvr' and (kind == 'vimeo' or changes['datasets.train.num_frame'] > 1):
        block['temporal'] = [*draw(st.lists(FRACTIONS, max_size=3)), 1.0]
        if len(block['temporal']) in (1, len(block['spatial'])):
            block['order'] = draw(st.sampled_from(['hierarchical', 'synchronous']))
    block |= batches(draw, changes['num_gpu'])
    optional = {
        **OF_CYCLES,
        'lr_schedule': st.sampled_from(['restart', 'host']),
        'batch_growth': st.sampled_from(['none', 'inverse']),
    }
    block |= some_of(draw, optional)
    if draw(st.booleans()) and kind == 'reds':
        more = draw(st.integers(0, 3))
        frames = changes['datasets.train.num_frame']
        block['extra'] = {
            'gt_size': changes['datasets.train.gt_size'] + more * changes['scale'],
            'frames': frames + more if frames > 1 else 1,
            'iters': draw(st.integers(1, 500)),
        }
    return stock(kind, block, changes)


@st.composite
def wu2020_files(draw: st.DrawFn) -> dict[str, Any]:
    """The same for wu2020."""
    kind = draw(KINDS)
    changes = draw(stock_changes(kind))
    fixed = kind == 'edvr' or (kind == 'reds' and changes['datasets.train.num_frame'] == 1)
    pairs = st.tuples(st.just(1.0) if fixed else FRACTIONS, FRACTIONS).map(list)
    steps = st.lists(st.integers(1, changes['train.total_iter'] - 1), min_size=1, max_size=3, unique=True).map(sorted)
    optional = {
        **OF_CYCLES,
        'long_cycle': st.just(False) | st.lists(pairs, max_size=4).map(lambda shapes: [*shapes, [1.0, 1.0]]),
        'short_cycle': st.just(False) | st.lists(FRACTIONS, min_size=1, max_size=3),
        'epoch_factor': st.floats(0.5, 3).map(lambda value: round(value, 2)),
        'finetune': st.booleans(),
        'lr_steps': steps | steps.map(lambda milestones: {'milestones': milestones, 'gamma': 0.5}),
    }
    block = {'preset': 'wu2020', **batches(draw, changes['num_gpu']), **some_of(draw, optional)}
    return stock(kind, block, changes)


@st.composite
def progressive_files(draw: st.DrawFn) -> dict[str, Any]:
    """The same for progressive, images among them."""
    kind = draw(KINDS)
    changes = draw(stock_changes(kind))
    if kind == 'reds' and draw(st.booleans()):
        changes['datasets.train.type'] = 'PairedImageDataset'
    scale, full = changes['scale'], changes['datasets.train.gt_size']
    count = draw(st.integers(1, 5))
    lists = [st.integers(1, full // scale).map(lambda size: size * scale), st.integers(1, 9), st.integers(1, 10**6)]
    sizes, clips, iters = (draw(st.lists(values, min_size=count, max_size=count)) for values in lists)
    block = {
        'preset': 'progressive',
        'gt_sizes': [*sizes[:-1], full],
        'mini_batch_sizes': clips,
        'iters': iters,
        **some_of(draw, OF_ALL),
    }
    if draw(st.booleans()):
        of_one_rank = changes['num_gpu'] * draw(st.integers(1, 3))
        block['base_batch_size'] = of_one_rank * changes['datasets.train.batch_size_per_gpu']
    return stock(kind, block, changes)


ALL_FILES = st.one_of(lin2022_files(), wu2020_files(), progressive_files())


def resolved_or_rejected(options: dict[str, Any]) -> Settings:
    try:
        return resolved(options)
    except MultigridError as error:
        assume('stages' not in str(error) and 'has no step' not in str(error))  # too few iterations
        raise


@given(ALL_FILES)
def test_a_plan_holds_what_the_design_promises(options: dict[str, Any]) -> None:
    settings = resolved_or_rejected(options)
    plan, base, block = settings.plan, settings.baseline, options['multigrid']
    shapes = [shape for stage in plan.stages for shape in stage.spec.shapes]
    event(f'{block["preset"]}, {len(plan.stages)} stages')

    # stages tile the run, and the samples are those of all steps
    assert plan.stages[0].start == 0
    assert all(before.stop == after.start for before, after in pairwise(plan.stages))
    facts = describe(plan, base)
    assert all(stage['iters'] > 0 for stage in facts['stages'])
    assert sum(stage['iters'] for stage in facts['stages']) == plan.total_iter == facts['total_iter']
    assert sum(stage['samples'] for stage in facts['stages']) == plan.samples == facts['samples']
    borders = {i for stage in plan.stages for i in (stage.start, stage.stop - 1)}
    for iteration in borders:
        assert plan.position(iteration + 1) - plan.position(iteration) == plan(iteration).shape.clips

    # the last stage is the baseline's shape; with an extra stage, the last but one
    last = plan.stages[-2 if 'extra' in block else -1]
    assert (last.shape.frames, last.shape.size) == (base.frames, base.size)
    assert block['preset'] == 'progressive' or last.shape.clips == block.get('batch_size', base.clips)

    # ranks and passes, within the budget
    per_pass = settings.max_clips * base.frames * base.size**2
    for batch in (batch for stage in plan.stages for batch in stage.batches):
        assert batch.clips_per_rank * batch.accumulate * plan.world_size == batch.shape.clips
        assert batch.clips_per_rank == 1 or batch.clips_per_rank * batch.shape.pixels <= per_pass * batch.shape.clips

    # shapes that the dataset delivers
    assert all(shape.size % base.scale == 0 for shape in shapes)
    assert all(not base.mirrored or shape.frames % 2 == 0 for shape in shapes)
    assert not base.fixed_frames or {shape.frames for shape in shapes} == {base.frames}

    # rates
    for iteration in borders:
        assert plan(iteration).rate(base.lr) >= 0


@given(st.one_of(lin2022_files(), wu2020_files()))
def test_cycles_are_rounded_to_what_the_network_takes(options: dict[str, Any]) -> None:
    settings = resolved_or_rejected(options)
    plan, base, block = settings.plan, settings.baseline, options['multigrid']
    stages = plan.stages[: -1 if 'extra' in block else None]
    for shape in (shape for stage in stages for shape in stage.spec.shapes):
        lq_size = shape.size // base.scale
        assert shape.size == base.size or lq_size % block.get('lq_multiple', 4) == 0
        assert lq_size >= min(block.get('min_lq_size', 32), base.size // base.scale)
        assert min(block.get('min_frames', 6), base.frames) <= shape.frames <= base.frames


@given(lin2022_files())
def test_lin2022(options: dict[str, Any]) -> None:
    settings = resolved_or_rejected(options)
    plan, base, block = settings.plan, settings.baseline, options['multigrid']
    wanted = block.get('batch_size', base.clips)
    largest = wanted * base.frames * base.size**2
    for stage in plan.stages[: -1 if 'extra' in block else None]:
        grows = block.get('batch_growth') == 'inverse'
        assert stage.shape.pixels <= largest
        assert stage.shape.clips % wanted == 0 if grows else stage.shape.clips == wanted
    shapes = [stage.shape for stage in plan.stages]
    assert 'extra' in block or all(before != after for before, after in pairwise(shapes))
    for iteration in {i for stage in plan.stages for i in (stage.start, stage.stop - 1)}:
        step = plan(iteration)
        highest = base.lr * max(1, step.shape.clips / base.clips)
        assert 0 < step.rate(base.lr) <= max(highest, base.eta_min) * (1 + 1e-9)


@given(wu2020_files())
def test_wu2020(options: dict[str, Any]) -> None:
    settings = resolved_or_rejected(options)
    plan, base, block = settings.plan, settings.baseline, options['multigrid']
    wanted = block.get('batch_size', base.clips)
    assert all(shape.clips % wanted == 0 for stage in plan.stages for shape in stage.spec.shapes)
    for stage in plan.stages:
        long = stage.spec.shapes[-1]
        assert stage.shape == long
        # b*t*h*w is constant up to the rounding of batches to whole multiples, by half of one at most
        work = [shape.pixels / long.pixels for shape in stage.spec.shapes]
        assert 2 / 3 <= min(work) <= max(work) <= 4 / 3
        exact = base.frames * base.size**2 / (long.frames * long.size**2)
        assert abs(long.clips / wanted - exact) <= 0.5
    # the samples asked for, up to the rounding of stages to whole iterations
    factor = block.get('epoch_factor', 1.5)
    most = max(shape.clips for stage in plan.stages for shape in stage.spec.shapes)
    assert abs(plan.samples - factor * base.total_iter * base.clips) <= 3 * len(plan.stages) * most


@given(progressive_files())
def test_progressive(options: dict[str, Any]) -> None:
    settings = resolved_or_rejected(options)
    plan, base, block = settings.plan, settings.baseline, options['multigrid']
    assert plan.total_iter == base.total_iter
    assert [stage.shape.size for stage in plan.stages] == block['gt_sizes']
    ratio = base.clips / base.clips_per_rank
    assert [stage.shape.clips for stage in plan.stages] == [clips * ratio for clips in block['mini_batch_sizes']]
    if 'max_clips' not in block and ratio == plan.world_size:
        assert {stage.batch.accumulate for stage in plan.stages} == {1}


@given(ALL_FILES)
def test_the_printed_block_gives_the_same_plan(options: dict[str, Any]) -> None:
    try:
        settings = resolved(options)
    except MultigridError:
        assume(False)
    text = explicit_block(options['multigrid'], settings)
    pasted = {key: value for key, value in options.items() if key != 'multigrid'} | yaml.safe_load(text)
    assert pasted['multigrid']['preset'] == 'stages'
    assert described(pasted) == describe(settings.plan, settings.baseline)
    again = resolved(pasted)
    for iteration in range(0, settings.plan.total_iter, max(1, settings.plan.total_iter // 50)):
        before, after = settings.plan(iteration), again.plan(iteration)
        assert (before.shape, before.position, before.rate(3e-5)) == (after.shape, after.position, after.rate(3e-5))
    assert explicit_block(pasted['multigrid'], again) == text

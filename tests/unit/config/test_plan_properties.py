"""What holds for the plan of any options file."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import yaml
from hypothesis import assume, event, given
from hypothesis import strategies as st
from stock_options import described, resolved, stock

from mg_basicsr.config.print_block import explicit_block
from mg_basicsr.errors import MultigridError
from mg_basicsr.schedule.describe import describe

FRACTIONS = st.floats(0.05, 1, allow_subnormal=False).map(lambda value: round(value, 3))
SCHEDULERS = st.sampled_from(
    [
        {'type': 'CosineAnnealingRestartLR', 'periods': [300, 400], 'restart_weights': [1, 0.5], 'eta_min': 1e-7},
        {'type': 'MultiStepLR', 'milestones': [100, 500], 'gamma': 0.5},
    ]
)


@st.composite
def options_files(draw: st.DrawFn) -> dict[str, Any]:
    """Options files of all kinds of datasets with a valid lin2022 block of any keys."""
    kind = draw(st.sampled_from(['reds', 'vimeo', 'edvr']))
    world_size = draw(st.sampled_from([1, 2, 3, 4, 8]))
    scale = draw(st.sampled_from([1, 2, 4]))
    changes = {
        'num_gpu': world_size,
        'scale': scale,
        'datasets.train.gt_size': scale * draw(st.integers(8, 80)),
        'datasets.train.num_frame': draw(st.integers(1, 7)) if kind == 'vimeo' else draw(st.integers(1, 20)),
        'datasets.train.batch_size_per_gpu': draw(st.integers(1, 6)),
        'train.total_iter': draw(st.integers(20, 3000)),
        'train.warmup_iter': draw(st.sampled_from([-1, 0, 7])),
        'train.fix_flow': 0,
        'train.scheduler': draw(SCHEDULERS),
        'train.optim_g.lr': draw(st.floats(1e-5, 1e-3)),
    }
    length = draw(st.integers(1, 4))
    block: dict[str, Any] = {'preset': 'lin2022', 'spatial': [*draw(st.lists(FRACTIONS, max_size=length)), 1.0]}
    if kind != 'edvr' and (kind == 'vimeo' or changes['datasets.train.num_frame'] > 1):
        block['temporal'] = [*draw(st.lists(FRACTIONS, max_size=3)), 1.0]
        if len(block['temporal']) in (1, len(block['spatial'])):
            block['order'] = draw(st.sampled_from(['hierarchical', 'synchronous']))
    if draw(st.booleans()):
        block['base_batch_size'] = world_size * draw(st.integers(1, 8))
        block['batch_size'] = world_size * draw(st.integers(1, 16))
    optional = {
        'lr_scaling': st.sampled_from(['linear', 'sqrt', 'none']),
        'lr_schedule': st.sampled_from(['restart', 'host']),
        'small_lr_max': st.floats(1e-5, 1e-3),
        'max_clips': st.integers(1, 20),
        'warmup_iter': st.integers(-1, 500),
        'lq_multiple': st.sampled_from([1, 2, 4, 8, 12]),
        'min_lq_size': st.integers(1, 40),
        'min_frames': st.integers(1, 10),
    }
    block |= {key: draw(values) for key, values in optional.items() if draw(st.booleans())}
    if draw(st.booleans()) and kind == 'reds':
        more = draw(st.integers(0, 3))
        frames = changes['datasets.train.num_frame']
        block['extra'] = {
            'gt_size': changes['datasets.train.gt_size'] + more * scale,
            'frames': frames + more if frames > 1 else 1,
            'iters': draw(st.integers(1, 500)),
        }
    return stock(kind, block, changes)


@given(options_files())
def test_a_plan_holds_what_the_design_promises(options: dict[str, Any]) -> None:
    try:
        settings = resolved(options)
    except MultigridError as error:
        assume('stages' not in str(error))  # fewer iterations than stages
        raise
    plan, base, block = settings.plan, settings.baseline, options['multigrid']
    event(f'{len(plan.stages)} stages')

    # stages tile the run, and the samples are those of all steps
    assert plan.stages[0].start == 0
    assert all(before.stop == after.start for before, after in pairwise(plan.stages))
    facts = describe(plan, base)
    assert sum(stage['iters'] for stage in facts['stages']) == plan.total_iter == facts['total_iter']
    assert sum(stage['samples'] for stage in facts['stages']) == plan.samples == facts['samples']
    assert all(stage['samples'] == stage['iters'] * stage['clips'] for stage in facts['stages'])
    borders = {i for stage in plan.stages for i in (stage.start, stage.stop - 1)}
    for iteration in borders:
        assert plan.position(iteration + 1) - plan.position(iteration) == plan(iteration).shape.clips

    # the last stage is the baseline's shape; with an extra stage, the last but one
    last = plan.stages[-2 if 'extra' in block else -1]
    assert (last.shape.frames, last.shape.size) == (base.frames, base.size)
    assert all(stage.shape.clips == block.get('batch_size', base.clips) for stage in plan.stages)

    # ranks and passes, within the budget
    per_pass = settings.max_clips * base.frames * base.size**2
    for stage in plan.stages:
        assert stage.batch.clips_per_rank * stage.batch.accumulate * plan.world_size == stage.shape.clips
        assert stage.batch.clips_per_rank == 1 or stage.batch.clips_per_rank * stage.shape.pixels <= (
            per_pass * stage.shape.clips
        )

    # shapes that the network takes
    for stage in plan.stages[: -1 if 'extra' in block else None]:
        lq_size, rest = divmod(stage.shape.size, base.scale)
        assert rest == 0
        assert stage.shape.size == base.size or lq_size % block.get('lq_multiple', 4) == 0
        assert lq_size >= min(block.get('min_lq_size', 32), base.size // base.scale)
        assert min(block.get('min_frames', 6), base.frames) <= stage.shape.frames <= base.frames
        assert not base.mirrored or stage.shape.frames % 2 == 0
    assert not base.fixed_frames or {stage.shape.frames for stage in plan.stages} == {base.frames}
    shapes = [stage.shape for stage in plan.stages]
    assert 'extra' in block or all(before != after for before, after in pairwise(shapes))

    # rates stay between the minimum and the scaled rate
    highest = base.lr * max(1, block.get('batch_size', base.clips) / base.clips)
    for iteration in borders:
        assert 0 < plan(iteration).rate(base.lr) <= max(highest, base.eta_min) * (1 + 1e-9)


@given(options_files())
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

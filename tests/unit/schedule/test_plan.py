"""The plan as a function of the iteration: stages without gaps, positions, division among ranks."""

from __future__ import annotations

import pickle
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mg_basicsr.errors import ConfigError
from mg_basicsr.schedule import BatchShape, Plan
from mg_basicsr.schedule.lr import Constant, Cosine, Linear
from mg_basicsr.schedule.plan import StageSpec, build_plan, divide, divisors, split_clips

BASE_LR = 1e-3
SHAPES = st.builds(BatchShape, st.integers(1, 6).map(lambda n: 4 * n), st.integers(1, 20), st.integers(1, 64))
SPECS = st.builds(
    StageSpec,
    iters=st.integers(1, 30),
    shapes=st.lists(SHAPES, min_size=1, max_size=3).map(tuple),  # more than one: a short cycle
    first_lr=st.floats(1e-6, 1),
    floor=st.just(1e-7),
    curve=st.sampled_from([Constant(), Cosine(10), Linear(7)]),
)
PLANS = st.builds(
    build_plan,
    st.lists(SPECS, min_size=1, max_size=5),
    world_size=st.sampled_from([1, 2, 4]),
    budget=st.integers(1, 10**6),
    warmup_iter=st.integers(0, 20),
    base_lr=st.just(BASE_LR),
)


@given(PLANS)
def test_stages_tile_the_run(plan: Plan) -> None:
    assert plan.stages[0].start == 0
    assert all(before.stop == after.start for before, after in pairwise(plan.stages))
    assert plan.total_iter == plan.stages[-1].stop == sum(stage.iters for stage in plan.stages)
    assert [stage.index for stage in plan.stages] == list(range(len(plan.stages)))
    for iteration in range(plan.total_iter):
        stage = plan(iteration).stage
        assert stage.start <= iteration < stage.stop


@given(PLANS)
def test_positions_count_the_clips(plan: Plan) -> None:
    position = 0
    for iteration in range(plan.total_iter):
        step = plan(iteration)
        assert step.iteration == iteration
        assert step.position == plan.position(iteration) == position
        position += step.shape.clips
    assert plan.samples == plan.position(plan.total_iter) == position
    assert position == sum(stage.clips_before(stage.iters) for stage in plan.stages)


@given(PLANS)
def test_shapes_of_a_stage_take_turns(plan: Plan) -> None:
    for stage in plan.stages:
        for k in range(stage.iters):
            assert plan(stage.start + k).shape == stage.spec.shapes[k % len(stage.spec.shapes)]
        assert stage.shape.size == max(shape.size for shape in stage.spec.shapes)
        assert stage.batch.shape == stage.shape


@given(PLANS)
def test_rates(plan: Plan) -> None:
    for iteration in range(plan.total_iter):
        step = plan(iteration)
        spec, k = step.stage.spec, iteration - step.stage.start
        warmup = min(1.0, (iteration + 1) / plan.warmup_iter) if plan.warmup_iter else 1.0
        assert step.rate(BASE_LR) == pytest.approx(warmup * (spec.floor + (spec.first_lr - spec.floor) * spec.curve(k)))
        assert step.lr_factor == pytest.approx(step.rate(BASE_LR) / BASE_LR)


@given(PLANS)
def test_a_plan_survives_pickling(plan: Plan) -> None:
    """Workers get it so, and answer the same."""
    again = pickle.loads(pickle.dumps(plan))
    assert [again(i) for i in range(plan.total_iter)] == [plan(i) for i in range(plan.total_iter)]


@given(PLANS, st.integers(0, 5))
def test_outside_the_run_there_is_no_step(plan: Plan, beyond: int) -> None:
    for iteration in (-1 - beyond, plan.total_iter + beyond):
        with pytest.raises(IndexError, match=f'iteration {iteration} is outside the plan of {plan.total_iter}'):
            plan(iteration)


@given(
    share=st.integers(1, 500),
    world_size=st.integers(1, 16),
    frames=st.integers(1, 30),
    size=st.integers(1, 300),
    budget=st.integers(1, 10**8),
)
def test_division_among_ranks_and_passes(share: int, world_size: int, frames: int, size: int, budget: int) -> None:
    shape = BatchShape(share * world_size, frames, size)
    batch = split_clips(shape, world_size, budget)
    assert batch.clips_per_rank * batch.accumulate * world_size == shape.clips
    per_clip = frames * size**2
    assert batch.clips_per_rank == 1 or batch.clips_per_rank * per_clip <= budget
    larger = [d for d in range(batch.clips_per_rank + 1, share + 1) if share % d == 0]
    assert all(d * per_clip > budget for d in larger)


@pytest.mark.parametrize(('clips', 'world_size'), [(6, 4), (3, 4), (10, 3)])
def test_clips_that_cannot_be_divided(clips: int, world_size: int) -> None:
    with pytest.raises(ConfigError, match=f'{clips} clips cannot be divided among {world_size} ranks'):
        split_clips(BatchShape(clips, 1, 1), world_size, 1)


@given(st.integers(1, 5000))
def test_divisors(n: int) -> None:
    assert divisors(n) == [d for d in range(1, n + 1) if n % d == 0]


@pytest.mark.parametrize(
    ('total', 'parts', 'expected'),
    [(12, 6, [2] * 6), (13, 6, [2, 2, 2, 2, 2, 3]), (17, 6, [2] * 5 + [7]), (5, 1, [5])],
)
def test_divide(total: int, parts: int, expected: list[int]) -> None:
    assert divide(total, parts) == expected


@given(PLANS)
def test_shapes_and_batches_are_those_of_the_iterations_each_once(plan: Plan) -> None:
    met = [plan(iteration) for iteration in range(plan.total_iter)]
    assert len(set(plan.batches)) == len(plan.batches) and len(set(plan.shapes)) == len(plan.shapes)
    assert {step.batch for step in met} <= set(plan.batches)  # a stage may end before its short cycle does
    assert plan.shapes == tuple(batch.shape for batch in plan.batches)

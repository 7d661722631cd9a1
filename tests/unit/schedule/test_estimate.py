"""The estimate of the seconds that are left, against runs whose truth is known."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from mg_basicsr.schedule.estimate import STALL, Estimator, RecentMean
from mg_basicsr.schedule.lr import Constant
from mg_basicsr.schedule.plan import Plan, RankBatch, StageSpec, build_plan
from mg_basicsr.schedule.shape import BatchShape

SIZES, FRAMES = (64, 128), (4, 6, 8)
SHAPES = [BatchShape(4, frames, size) for size, frames in itertools.product(SIZES, FRAMES)]


def curriculum(short_cycle: bool = False) -> Plan:
    stages = [(shape,) for shape in SHAPES] if not short_cycle else [tuple(SHAPES[:3]), tuple(SHAPES[3:])] * 2
    specs = [StageSpec(60, shapes, 1e-4, 0.0, Constant()) for shapes in stages]
    return build_plan(specs, world_size=1, budget=2 * SHAPES[-1].pixels, warmup_iter=0, base_lr=1e-4)


def compute(batch: RankBatch) -> float:
    return 0.01 + batch.shape.pixels / 4e6


def slower(batch: RankBatch) -> float:
    return 1.3 * compute(batch)


def loading(batch: RankBatch) -> float:
    return max(compute(batch), 0.004 * batch.shape.clips * batch.shape.frames)


# seconds of an iteration -> largest relative error that is accepted after 10, 30 and 60 % of the run
TRUTHS: dict[str, tuple[Callable[[RankBatch], float], float]] = {
    'as on trial': (compute, 0.01),
    'slower than on trial': (slower, 0.01),
    'loading takes longer': (loading, 0.05),
}


@pytest.mark.parametrize('short_cycle', [False, True])
@pytest.mark.parametrize('truth', TRUTHS)
@pytest.mark.parametrize('share', [0.1, 0.3, 0.6])
def test_of_a_curriculum(truth: str, share: float, short_cycle: bool) -> None:
    plan = curriculum(short_cycle)
    seconds, tolerance = TRUTHS[truth]
    estimator = Estimator(plan, {'validation': 36, 'saving': 72})
    for batch in plan.batches:
        estimator.expect(batch, compute(batch))
    done = int(share * plan.total_iter)
    for iteration in range(done):
        batch = plan(iteration).batch
        waiting = 0.0 if seconds is slower else seconds(batch) - compute(batch)
        estimator.measure(batch, seconds(batch), waiting)
        if iteration + 1 < done and (iteration + 1) % 36 == 0:
            estimator.paused('validation', iteration + 1, 0.2)
    left = sum(seconds(plan(iteration).batch) for iteration in range(done, plan.total_iter))
    # pauses at `done` itself are to come; at 10 % none was measured
    validations = sum(i % 36 == 0 for i in range(done, plan.total_iter + 1)) + 1
    expected = left + (validations * 0.2 if done > 36 else 0)
    assert estimator.left(done) == pytest.approx(expected, rel=tolerance)


def test_without_trials_work_is_pixels() -> None:
    plan = curriculum()
    estimator = Estimator(plan)
    assert estimator.left(0) is None
    estimator.measure(plan.batches[0], 1.0)
    assert estimator.seconds(plan.batches[-1]) == pytest.approx(SHAPES[-1].pixels / SHAPES[0].pixels)


def test_before_the_first_iteration_trials_count() -> None:
    plan = curriculum()
    estimator = Estimator(plan)
    for batch in plan.batches:
        estimator.expect(batch, 2.0)
    assert estimator.left(0) == 2.0 * plan.total_iter


def test_it_never_falls_below_zero_and_ends_there() -> None:
    plan = curriculum()
    estimator = Estimator(plan)
    estimator.measure(plan.batches[0], 1.0)
    assert estimator.left(plan.total_iter) == 0.0


@pytest.mark.parametrize(
    ('done', 'noted', 'left'),
    [
        (100, [50], 2 + 1),  # the one after iteration 100 is to come: 100, 150, and the last
        (100, [50, 100], 1 + 1),
        (101, [50, 100], 1 + 1),
        (101, [50], 1 + 1),  # resumed after 100: it is not repeated
        (150, [50, 100, 150], 0 + 1),
    ],
)
def test_pauses_to_come(done: int, noted: list[int], left: int) -> None:
    shape = SHAPES[0]
    plan = build_plan(
        [StageSpec(150, (shape,), 1e-4, 0.0, Constant())],
        world_size=1,
        budget=shape.pixels,
        warmup_iter=0,
        base_lr=1e-4,
    )
    estimator = Estimator(plan, {'validation': 50, 'saving': 0})
    estimator.measure(plan.batches[0], 0.0)
    for iteration in noted:
        estimator.paused('validation', iteration, 4.0)  # two sets
        estimator.paused('validation', iteration, 6.0)
        estimator.paused('saving', iteration, 6.0)  # no frequency: ignored
    assert estimator.left(done) == pytest.approx(10 * left)


def test_a_pause_is_expected_until_it_is_measured() -> None:
    plan = curriculum()
    estimator = Estimator(plan, {'validation': 60})
    for batch in plan.batches:
        estimator.expect(batch, 0.0)
    estimator.expect_pause('validation', 2.0)
    estimator.expect_pause('saving', 9.0)
    assert estimator.left(0) == 2.0 * 7
    estimator.paused('validation', 60, 3.0)
    assert estimator.left(60) == 3.0 * 6


def test_the_first_value_is_dropped_and_a_stall_limited() -> None:
    mean = RecentMean()
    mean.add(30.0)
    assert mean.mean == 30.0
    for _ in range(9):
        mean.add(1.0)
    assert mean.mean == 1.0
    mean.add(1e6)
    assert mean.mean <= 1 + STALL / 9


def test_a_run_that_slows_down_is_followed() -> None:
    mean = RecentMean()
    for value in [1.0] * 500 + [2.0] * 300:
        mean.add(value)
    assert mean.mean == pytest.approx(2.0, abs=0.06)

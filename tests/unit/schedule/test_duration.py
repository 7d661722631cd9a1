"""Hours from seconds: tables of how loading and computing share a machine."""

from __future__ import annotations

import pytest

from mg_basicsr.schedule.baseline import Baseline
from mg_basicsr.schedule.duration import (
    Machine,
    Work,
    baseline_batch,
    duration_text,
    predicted_seconds,
    run_hours,
    seconds_per_iter,
    seconds_text,
)
from mg_basicsr.schedule.lr import Constant
from mg_basicsr.schedule.plan import StageSpec, build_plan
from mg_basicsr.schedule.shape import BatchShape


@pytest.mark.parametrize(
    ('compute', 'loading', 'machine', 'expected'),
    [
        (1.0, 0.5, {'workers': 0, 'cores': 8}, 1.5),  # one after the other
        (1.0, 0.5, {'workers': 1, 'cores': 8}, 1.0),
        (1.0, 3.0, {'workers': 1, 'cores': 8}, 3.0),
        (1.0, 3.0, {'workers': 4, 'cores': 8}, 1.0),
        (1.0, 3.0, {'workers': 4, 'cores': 2}, 2.0),  # four seconds of work for two cores
        (1.0, 1.0, {'workers': 4, 'cores': 2, 'threads': 2}, 1.5),
        (1.0, 3.0, {'workers': 4, 'cores': 16, 'ranks': 8}, 2.0),
    ],
)
def test_prediction(compute: float, loading: float, machine: dict[str, int], expected: float) -> None:
    assert predicted_seconds(compute, loading, **machine) == expected


@pytest.mark.parametrize(
    ('compute', 'loading', 'machine', 'expected'),
    [
        (1.0, 0.5, Machine(1, 8), 'arithmetic'),
        (1.0, 3.0, Machine(1, 8), 'loading'),
        (1.0, 3.0, Machine(4, 8), 'arithmetic'),
        (1.0, 3.0, Machine(4, 2), 'cores'),  # 2 s: neither the step nor four workers take as long alone
        (1.0, 19.0, Machine(4, 2), 'loading'),  # 10 s, of which loading takes 9.5 alone
        (1.0, 1.0, Machine(4, 2, threads=2), 'cores'),
        (1.0, 0.5, Machine(0, 8), 'arithmetic'),  # one after the other: the longer one
        (1.0, 1.5, Machine(0, 8), 'loading'),
        (1.0, 0.0, Machine(0, 8), 'arithmetic'),
    ],
)
def test_what_bounds_an_iteration(compute: float, loading: float, machine: Machine, expected: str) -> None:
    assert machine.bound(Work(compute, loading)) == expected
    assert machine.seconds(Work(compute, loading)) == predicted_seconds(compute, loading, **machine._asdict())


@pytest.mark.parametrize('exponent', range(-5, 9))
@pytest.mark.parametrize('digits', [1.0, 1.5, 9.94, 9.95, 9.9949, 9.9951, 9.99951])
def test_no_duration_has_an_exponent(digits: float, exponent: int) -> None:
    seconds = digits * 10**exponent
    for text in (seconds_text(seconds), duration_text(seconds)):
        assert 'e' not in text, text
    assert float(seconds_text(seconds).replace(',', '')) == pytest.approx(seconds, rel=0.006, abs=5.01e-4)
    assert len(seconds_text(seconds)) >= min(5, 3 + (exponent < 0))


def test_hours_of_stages_and_short_cycles() -> None:
    shapes = tuple(BatchShape(2, 4, size) for size in (16, 32, 64))
    specs = [StageSpec(6, shapes, 1.0, 0.0, Constant()), StageSpec(100, shapes[2:], 1.0, 0.0, Constant())]
    plan = build_plan(specs, world_size=1, budget=1 << 20, warmup_iter=0, base_lr=1.0)
    assert seconds_per_iter(plan.stages[0], lambda batch: batch.shape.size) == pytest.approx((16 + 32 + 64) / 3)
    assert run_hours(plan, lambda batch: batch.shape.size) == pytest.approx((2 * 112 + 6400) / 3600)


@pytest.mark.parametrize(
    ('clips', 'ranks', 'most', 'expected'),
    [(8, 8, 1, (1, 1)), (16, 1, 4, (4, 4)), (20, 3, 4, (1, 7)), (6, 1, 4, (3, 2))],
)
def test_the_baseline_in_the_same_memory(clips: int, ranks: int, most: int, expected: tuple[int, int]) -> None:
    base = Baseline(clips, 15, 256, 4, 1000, 1.0, 0.0, Constant())
    batch = baseline_batch(base, ranks, most * 15 * 256**2)
    assert (batch.clips_per_rank, batch.accumulate) == expected

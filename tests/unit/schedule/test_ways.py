"""What bounds a run, and the one change that brings most, as tables."""

from __future__ import annotations

import pytest

from mg_basicsr.schedule.duration import Machine, Work
from mg_basicsr.schedule.lr import Constant
from mg_basicsr.schedule.plan import Plan, RankBatch, StageSpec, build_plan
from mg_basicsr.schedule.shape import BatchShape
from mg_basicsr.schedule.ways import Way, advice, best_change, planned_way, worker_way

HOUR = 3600.0
NOW = Way('with the block', '', 10 * HOUR, 'loading')
STOCK = Way('stock BasicSR', '', 2 * HOUR, 'loading')  # even if it were faster, it is no change to make
STORE = Way('store', 'set multigrid.store: S', 6 * HOUR, 'arithmetic')
FUSED = Way('fused', 'set multigrid.fused_optimizer: true', 9.6 * HOUR, 'loading')
UNTIMED = Way('compile', 'set multigrid.compile: true', None, None, 'not possible: no compiler')


@pytest.fixture
def plan() -> Plan:
    """100 iterations of 32 pixels, 300 of 64."""
    shapes = [BatchShape(2, 4, size) for size in (32, 64)]
    specs = [StageSpec(iters, (shape,), 1.0, 0.0, Constant()) for iters, shape in zip((100, 300), shapes, strict=True)]
    return build_plan(specs, world_size=1, budget=1 << 20, warmup_iter=0, base_lr=1.0)


@pytest.mark.parametrize(
    ('ways', 'expected'),
    [
        ([], None),
        ([STOCK], None),
        ([UNTIMED], None),
        ([FUSED], None),  # 4 %: within what timings differ by
        ([FUSED, STORE, STOCK, UNTIMED], STORE),
        ([Way('more workers', 'set datasets.train.num_worker_per_gpu: 8', 5.9 * HOUR), STORE], 'more workers'),
        ([Way('slower', 'set multigrid.channels_last: true', 12 * HOUR)], None),
    ],
)
def test_the_one_change(ways: list[Way], expected: Way | str | None) -> None:
    best = best_change(NOW, ways)
    assert (best.name if isinstance(expected, str) and best else best) == expected


def test_the_advice_says_what_to_write_and_what_it_brings() -> None:
    assert advice(NOW, [STORE]) == 'The change that brings most: set multigrid.store: S (6 h instead of 10 h).'
    assert advice(NOW, [FUSED]) == 'No change that was tried would save 5% of the time.'


@pytest.mark.parametrize(
    ('compute', 'loading', 'seconds', 'bound'),
    [
        ((1.0, 4.0), (0.5, 0.5), 100 * 1.0 + 300 * 4.0, 'arithmetic'),
        ((1.0, 4.0), (2.0, 8.0), 100 * 2.0 + 300 * 8.0, 'loading'),
        ((1.0, 4.0), (2.0, 2.0), 100 * 2.0 + 300 * 4.0, 'arithmetic'),  # the small stage waits, the long one does not
        ((1.0, 0.1), (0.0, 1.0), 100 * 1.0 + 300 * 1.0, 'loading'),
    ],
)
def test_a_run_is_bound_by_what_most_of_its_time_is(
    plan: Plan, compute: tuple[float, float], loading: tuple[float, float], seconds: float, bound: str
) -> None:
    def work(batch: RankBatch) -> Work:
        number = int(batch.shape.size == 64)
        return Work(compute[number], loading[number])

    way = planned_way('x', plan, work, Machine(workers=1, cores=8), change='do', note='so')
    assert (way.name, way.change, way.note) == ('x', 'do', 'so')
    assert (way.seconds, way.bound) == (pytest.approx(seconds), bound)


@pytest.mark.parametrize(
    ('work', 'machine', 'workers'),
    [
        (Work(1.0, 0.5), Machine(2, 16), None),  # arithmetic: more bring nothing
        (Work(1.0, 8.0), Machine(2, 16), 8),
        (Work(1.0, 8.0), Machine(2, 16, ranks=4), 4),  # four ranks share the cores
        (Work(1.0, 7.0), Machine(4, 4), None),  # no core is left
        (Work(1.0, 1.0), Machine(0, 2), 1),  # beside the step instead of before it
        (Work(1.0, 2.06), Machine(2, 16), None),  # 3 %
    ],
)
def test_more_workers(plan: Plan, work: Work, machine: Machine, workers: int | None) -> None:
    way = worker_way(plan, lambda batch: work, machine)
    assert (way.change if way else None) == (workers and f'set datasets.train.num_worker_per_gpu: {workers}')
    if way:
        assert way.seconds is not None and way.seconds < 400 * machine.seconds(work)

"""Ways of making a run: in stock BasicSR, under the plan, from a store, with an option; and which change pays most.

>>> now = Way('as the file says', seconds=5 * 3600, bound='loading')
>>> store = Way('from a store', 'prepare a store and set multigrid.store', seconds=3 * 3600, bound='arithmetic')
>>> fused = Way('fused', 'set multigrid.fused_optimizer: true', seconds=5 * 3600, bound='loading')
>>> advice(now, [store, fused])
'The change that brings most: prepare a store and set multigrid.store (3 h instead of 5 h).'
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from mg_basicsr.schedule.duration import Bound, Machine, Work, duration_text
from mg_basicsr.schedule.plan import Plan, RankBatch

LEAST_GAIN = 0.05  # of a run's time: less is within what timings differ by
MOST_WORKERS = 64  # per rank


@dataclass(frozen=True)
class Way:
    """One way of making a run.

    Attributes:
        name: The way in words, or the option as in the file.
        change: What to do for it, as an imperative; nothing for what the file says already, and for stock BasicSR.
        seconds: Predicted seconds of the whole run, validation and saving left out; None if it was not timed.
        bound: What decides how long most of it takes; None if it was not timed.
        note: How it was timed, or why it was not.
    """

    name: str
    change: str = ''
    seconds: float | None = None
    bound: Bound | None = None
    note: str = ''


def planned_way(
    name: str,
    plan: Plan,
    work: Callable[[RankBatch], Work],
    machine: Machine,
    *,
    change: str = '',
    note: str = '',
) -> Way:
    """Return a way of making the run of a plan.

    Args:
        name: See `Way`, as for the others.
        plan: The plan.
        work: Work of an iteration with a given mini-batch.
        machine: Where it runs.
        change: What to do for it.
        note: How it was timed.
    """
    spent: dict[Bound, float] = defaultdict(float)
    for stage in plan.stages:
        for batch in stage.batches:
            each = work(batch)
            spent[machine.bound(each)] += machine.seconds(each) * stage.iters / len(stage.batches)
    bound = max(spent, key=spent.__getitem__)
    return Way(name, change, sum(spent.values()), bound, note)


def worker_way(plan: Plan, work: Callable[[RankBatch], Work], machine: Machine) -> Way | None:
    """Return the run with more workers, calculated; None if more bring nothing.

    The fewest are taken that bring what the most would, but for a fiftieth.

    Args:
        plan: The plan.
        work: Work of an iteration with a given mini-batch.
        machine: Where it runs.
    """
    most = min(MOST_WORKERS, machine.cores // max(1, machine.ranks))
    now = planned_way('', plan, work, machine)
    tried = [
        planned_way('', plan, work, machine._replace(workers=count)) for count in range(machine.workers + 1, most + 1)
    ]
    if not tried or now.seconds is None:
        return None
    least = min(each.seconds or 0.0 for each in tried)
    count, way = next(
        (machine.workers + number, each)
        for number, each in enumerate(tried, 1)
        if (each.seconds or 0.0) <= 1.02 * least
    )
    option = f'datasets.train.num_worker_per_gpu: {count}'
    if (way.seconds or 0.0) > (1 - LEAST_GAIN) * now.seconds:
        return None
    return Way(option, f'set {option}', way.seconds, way.bound, 'calculated')


def best_change(now: Way, ways: Iterable[Way]) -> Way | None:
    """Return the one change after which the run is shortest; None if none saves at least LEAST_GAIN.

    Args:
        now: The run as the file has it.
        ways: Other ways; those without a change to make, and those that were not timed, are left out.
    """
    if now.seconds is None:
        return None
    timed = [(way.seconds, way) for way in ways if way.change and way.seconds is not None]
    seconds, best = min(timed, key=lambda pair: pair[0], default=(now.seconds, now))
    return best if seconds <= (1 - LEAST_GAIN) * now.seconds else None


def advice(now: Way, ways: Iterable[Way]) -> str:
    """Return in one sentence which change brings most.

    Args:
        now: The run as the file has it.
        ways: Other ways.
    """
    best = best_change(now, ways)
    if best is None or now.seconds is None or best.seconds is None:
        return f'No change that was tried would save {LEAST_GAIN:.0%} of the time.'
    times = f'{duration_text(best.seconds)} instead of {duration_text(now.seconds)}'
    return f'The change that brings most: {best.change} ({times}).'

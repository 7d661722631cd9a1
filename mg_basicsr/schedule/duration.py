"""Duration of a run, computed from the seconds that its iterations take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from mg_basicsr.schedule.baseline import Baseline
from mg_basicsr.schedule.plan import Plan, RankBatch, Stage, divisors

SHARED = 1.1  # longer than the slower part by this factor: both wait for cores
UNITS = (('d', 86400), ('h', 3600), ('min', 60), ('s', 1))
Seconds = Callable[[RankBatch], float]
Bound = Literal['loading', 'arithmetic', 'cores']


class Work(NamedTuple):
    """Work of one iteration on one rank.

    Attributes:
        compute: Seconds of the training step.
        loading: Seconds that one worker takes to load the rank's clips.
    """

    compute: float
    loading: float


class Machine(NamedTuple):
    """Machine on which loading and arithmetic run beside each other.

    Attributes:
        workers: Worker processes per rank, >= 0.
        cores: CPU cores of the machine.
        ranks: Ranks on the machine.
        threads: Cores that a rank's training step keeps busy; 1 with a GPU.
    """

    workers: int
    cores: int
    ranks: int = 1
    threads: int = 1

    def seconds(self, work: Work) -> float:
        """Return the seconds of an iteration; see `predicted_seconds`."""
        return predicted_seconds(*work, **self._asdict())

    def bound(self, work: Work) -> Bound:
        """Return what decides how long an iteration takes: the slower of the two, or the cores that both need."""
        loading = self.seconds(Work(0.0, work.loading))
        if self.workers and self.seconds(work) > SHARED * max(work.compute, loading):
            return 'cores'
        return 'loading' if loading > work.compute else 'arithmetic'


def seconds_per_iter(stage: Stage, seconds: Seconds) -> float:
    """Return the mean seconds of a stage's iterations, over the shapes that it takes in turn.

    Args:
        stage: The stage.
        seconds: Seconds of one iteration with a given mini-batch.
    """
    return sum(seconds(batch) for batch in stage.batches) / len(stage.batches)


def run_hours(plan: Plan, seconds: Seconds) -> float:
    """Return the hours of all iterations of a plan.

    Args:
        plan: The plan.
        seconds: Seconds of one iteration with a given mini-batch.
    """
    return sum(stage.iters * seconds_per_iter(stage, seconds) for stage in plan.stages) / 3600


def duration_text(seconds: float) -> str:
    """Return a duration in units that people read: the largest one, and the next.

    >>> [duration_text(seconds) for seconds in (0.42, 59.6, 3599, 2 * 86400 + 3 * 3600 + 59)]
    ['0.4 s', '1 min', '1 h', '2 d 3 h']
    >>> [duration_text(seconds) for seconds in (0, 42, 125, 3600 + 5 * 60, 1160 * 3600)]
    ['0 s', '42 s', '2 min 5 s', '1 h 5 min', '48 d 8 h']

    Args:
        seconds: The duration, >= 0.
    """
    if 0 < seconds < 10:
        return f'{seconds:.1f} s'
    rounded = round(seconds)
    for number, (name, size) in enumerate(UNITS):
        smaller, part = UNITS[number + 1] if number + 1 < len(UNITS) else ('', 1)
        whole = round(rounded / part) * part  # rounded first, so that no minute has 60 seconds
        if whole >= size and whole:
            first, rest = divmod(whole, size)
            return f'{first} {name}' + (f' {rest // part} {smaller}' if smaller and rest else '')
    return '0 s'


def seconds_text(seconds: float) -> str:
    """Return seconds as a number of three digits or more, never with an exponent.

    >>> [seconds_text(seconds) for seconds in (0.00042, 0.0564, 1.23456, 99.96, 1160.4)]
    ['0.000', '0.056', '1.23', '100', '1,160']

    Args:
        seconds: The seconds, >= 0.
    """
    digits = 3 if seconds < 0.9995 else 2 if seconds < 9.995 else 1 if seconds < 99.95 else 0
    return f'{seconds:,.{digits}f}'


def baseline_batch(base: Baseline, world_size: int, budget: int) -> RankBatch:
    """Divide the baseline's mini-batch as `split_clips` does a plan's; a rank's share is rounded up to whole clips.

    Args:
        base: The baseline.
        world_size: Number of ranks, >= 1.
        budget: Most GT pixels (clips * frames * size^2) of one forward pass on one rank.
    """
    share = -(-base.clips // world_size)
    per_clip = base.frames * base.size**2
    clips = max(d for d in divisors(share) if d == 1 or d * per_clip <= budget)
    return RankBatch(base.shape, clips, share // clips)


def predicted_seconds(
    compute: float, loading: float, *, workers: int, cores: int, ranks: int = 1, threads: int = 1
) -> float:
    """Predict the seconds of an iteration, waiting for data included.

    Each worker loads a mini-batch ahead while the step before is computed. So an iteration takes as long as the slower
    of the two, and no less than the cores of the machine need for both together. Without workers the two are added.

    Args:
        compute: Seconds of the training step.
        loading: Seconds that one worker takes to load a rank's clips of one iteration.
        workers: Worker processes per rank, >= 0.
        cores: CPU cores of the machine.
        ranks: Ranks on the machine.
        threads: Cores that a rank's training step keeps busy; 1 with a GPU.

    Returns:
        Seconds per iteration.
    """
    if not workers:
        return compute + loading
    return max(compute, loading / workers, ranks * (threads * compute + loading) / cores)

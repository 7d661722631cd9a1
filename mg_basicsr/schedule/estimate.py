"""Estimate of the seconds that a run still takes, from seconds measured per shape, validation and checkpoint.

>>> from mg_basicsr.schedule.lr import Constant
>>> from mg_basicsr.schedule.plan import StageSpec, build_plan
>>> from mg_basicsr.schedule.shape import BatchShape
>>> small, full = BatchShape(clips=2, frames=4, size=64), BatchShape(clips=2, frames=4, size=128)
>>> specs = [StageSpec(100, (shape,), 1e-4, 0.0, Constant()) for shape in (small, full)]
>>> plan = build_plan(specs, world_size=1, budget=full.pixels, warmup_iter=0, base_lr=1e-4)
>>> estimator = Estimator(plan, every={'validation': 50})
>>> estimator.left(0) is None
True

The steps on trial say how the shapes compare, and measured iterations how training compares with trials:

>>> for batch, seconds in zip(plan.batches, (0.1, 0.4)):
...     estimator.expect(batch, seconds)
>>> for iteration in range(10):
...     estimator.measure(plan.batches[0], 0.2)
>>> round(estimator.left(10), 6)  # 90 of 0.2 s and 100 of 0.8 s
98.0
>>> estimator.paused('validation', 50, 3.0)
>>> round(estimator.left(50), 6)  # 50 of 0.2 s, 100 of 0.8 s; at 100, 150, 200, and once more at the end
102.0
"""

from __future__ import annotations

from collections.abc import Mapping

from mg_basicsr.schedule.duration import seconds_per_iter
from mg_basicsr.schedule.plan import Plan, RankBatch

RECENT = 100  # iterations of a shape over which its mean is taken, about
BOUND = 0.1  # share of waiting for data above which an iteration is taken to be as long as loading takes
STALL = 50.0  # an iteration longer than so many means is a stall (a machine that was suspended), and counts as so many


class Estimator:
    """Estimator of the time that a run still takes.

    A shape that training has not reached is expected to take the seconds of its trial step, times the ratio of
    measured to expected seconds of the measured shape that is nearest in work, waiting for data left out. Without trial
    steps, work is the number of pixels. Where training waits for data, a shape takes no less than its frames need at
    the rate at which they are loaded.

    Args:
        plan: The plan of the run.
        every: Name of a pause (validation, saving) -> iterations between two of them; each comes once more at the end.
    """

    def __init__(self, plan: Plan, every: Mapping[str, int] | None = None) -> None:
        self._plan = plan
        self._expected: dict[RankBatch, float] = {}
        self._measured: dict[RankBatch, RecentMean] = {}
        self._waiting: dict[RankBatch, RecentMean] = {}
        self._pauses = {name: Pause(count) for name, count in (every or {}).items() if count > 0}

    def expect(self, batch: RankBatch, seconds: float) -> None:
        """Note the seconds of a trial step.

        Args:
            batch: Its mini-batch.
            seconds: Seconds of the step without loading, > 0.
        """
        self._expected[batch] = seconds

    def measure(self, batch: RankBatch, seconds: float, waiting: float = 0.0) -> None:
        """Note the seconds of an iteration of the run.

        Args:
            batch: Its mini-batch.
            seconds: Seconds of the step and of waiting for data, without pauses.
            waiting: Seconds of these in which it waited for data.
        """
        self._measured.setdefault(batch, RecentMean()).add(seconds)
        self._waiting.setdefault(batch, RecentMean()).add(waiting)

    def expect_pause(self, name: str, seconds: float) -> None:
        """Note how long a pause is expected to take, which counts until one is measured.

        Args:
            name: Name of the pause.
            seconds: Its expected duration.
        """
        if name in self._pauses:
            self._pauses[name].expected = seconds

    def paused(self, name: str, iteration: int, seconds: float) -> None:
        """Note a pause, or a part of one. Pauses without a known frequency are ignored.

        Args:
            name: Name of the pause.
            iteration: Iterations trained before it.
            seconds: Its duration.
        """
        if name in self._pauses:
            self._pauses[name].add(iteration, seconds)

    def seconds(self, batch: RankBatch) -> float | None:
        """Return the seconds of an iteration with a mini-batch of the plan; None if nothing is known yet."""
        if batch in self._measured:
            return self._measured[batch].mean
        work = self._work()
        if not self._measured:
            return self._expected.get(batch)
        nearest = min(self._measured, key=lambda other: abs(work[other] - work[batch]))
        total, waiting = self._measured[nearest].mean, self._waiting[nearest].mean
        loading = total * _frames(batch) / _frames(nearest) if waiting > BOUND * total else 0.0
        return max(work[batch] * (total - waiting) / work[nearest], loading)

    def left(self, done: int) -> float | None:
        """Return the seconds until the end of the run, pauses included; None if nothing is known.

        Args:
            done: Iterations trained, 0 <= done <= total_iter. Pauses that follow the last of them count until they are
                noted.
        """
        each = {batch: self.seconds(batch) for batch in self._plan.batches}
        known = {batch: seconds for batch, seconds in each.items() if seconds is not None}
        if len(known) < len(each):
            return None
        training = sum(
            (stage.stop - max(done, stage.start)) * seconds_per_iter(stage, known.__getitem__)
            for stage in self._plan.stages
            if stage.stop > done
        )
        return training + sum(pause.left(done, self._plan.total_iter) for pause in self._pauses.values())

    def _work(self) -> Mapping[RankBatch, float]:
        batches = self._plan.batches
        if all(batch in self._expected for batch in batches):
            return self._expected
        return {batch: float(batch.shape.pixels) for batch in batches}


def _frames(batch: RankBatch) -> int:
    return batch.shape.clips * batch.shape.frames


class RecentMean:
    """Mean of the last values, about. The first value is dropped when there is another.

    In the first iteration of a shape memory is allocated and kernels are chosen.

    Attributes:
        mean: The mean; 0 without a value.
    """

    def __init__(self) -> None:
        self.mean = 0.0
        self._count = 0

    def add(self, value: float) -> None:
        """Add a value, >= 0."""
        self._count += 1
        if self._count <= 2:
            self.mean = value
            return
        value = min(value, STALL * self.mean) if self.mean else value
        self.mean += (value - self.mean) / min(self._count - 1, RECENT)


class Pause:
    """Interruption of training at every so many iterations, and once at the end.

    Args:
        every: Iterations between two of them, > 0.

    Attributes:
        expected: Seconds that one is expected to take before any is measured.
    """

    def __init__(self, every: int) -> None:
        self.expected = 0.0
        self._every = every
        self._seconds: dict[int, float] = {}

    def add(self, iteration: int, seconds: float) -> None:
        """Note a pause, or a part of one.

        Args:
            iteration: Iterations trained before it.
            seconds: Its duration.
        """
        self._seconds[iteration] = self._seconds.get(iteration, 0.0) + seconds

    def left(self, done: int, total: int) -> float:
        """Return the seconds of the pauses to come: their number times the mean so far.

        Args:
            done: Iterations trained.
            total: Iterations of the run.
        """
        last = max([done - 1, 0, *(iteration for iteration in self._seconds if iteration <= done)])
        count = total // self._every - last // self._every + 1
        return count * (sum(self._seconds.values()) / len(self._seconds) if self._seconds else self.expected)

"""Progress of a run over its iterations: what records and logs are read into, and reports are made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Score:
    """Result of a validation.

    Attributes:
        iteration: Iterations before it.
        seconds: Seconds of training before it.
        value: PSNR in dB, or the first metric.
        dataset: Name of the validation set.
        metrics: Every metric by name.
    """

    iteration: int
    seconds: float
    value: float
    dataset: str = ''
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Point:
    """Iteration that was logged.

    Attributes:
        iteration: Its number, 1-based.
        seconds: Seconds of training up to its end.
        stage: Number of its stage, 1-based; None without a plan.
        shape: Clips, frames and GT size in pixels; None without a plan.
        lr: Learning rate of the first parameter group.
        iter_seconds: Mean seconds of the iterations since the one logged before.
        data_seconds: Mean seconds that these waited for data.
        memory_mib: Peak memory on the device in MiB; None on a CPU.
        skipped: Steps that were skipped so far; None where none can be.
        losses: Losses by name.
    """

    iteration: int
    seconds: float
    stage: int | None = None
    shape: tuple[int, int, int] | None = None
    lr: float | None = None
    iter_seconds: float | None = None
    data_seconds: float | None = None
    memory_mib: float | None = None
    skipped: int | None = None
    losses: Mapping[str, float] = field(default_factory=dict)


@dataclass
class History:
    """History of a run, or of a part of it.

    Attributes:
        points: Logged iterations, in order.
        scores: Validations, in order.
    """

    points: list[Point] = field(default_factory=list)
    scores: list[Score] = field(default_factory=list)

    @property
    def iterations(self) -> int:
        """Last iteration logged; 0 without one."""
        return self.points[-1].iteration if self.points else 0

    @property
    def seconds(self) -> float:
        """Seconds of training up to the last logged iteration."""
        return self.points[-1].seconds if self.points else 0.0

    def forget_after(self, iteration: int) -> float:
        """Remove what came after an iteration from which the run was resumed, and return the seconds up to it.

        Args:
            iteration: Iterations of the checkpoint.
        """
        seconds = self.seconds_at(iteration)
        self.points = [point for point in self.points if point.iteration <= iteration]
        self.scores = [score for score in self.scores if score.iteration <= iteration]
        return seconds

    def seconds_at(self, iteration: int) -> float:
        """Return the seconds of training up to an iteration; between two logged ones, interpolated linearly."""
        before, seconds = 0, 0.0
        for point in self.points:
            if point.iteration > iteration:
                share = (iteration - before) / (point.iteration - before)
                return seconds + share * (point.seconds - seconds)
            before, seconds = point.iteration, point.seconds
        return seconds

    def add_score(self, score: Score) -> None:
        """Add a validation, unless the set was validated after the same iteration: BasicSR does at the very end."""
        if all((known.iteration, known.dataset) != (score.iteration, score.dataset) for known in self.scores):
            self.scores.append(score)


def scores_of(history: History, dataset: str, metric: str) -> list[Score]:
    """Return the validations of a set, with one metric as their value.

    Args:
        history: The run.
        dataset: Name of the set.
        metric: Name of the metric.
    """
    return [
        Score(score.iteration, score.seconds, score.metrics[metric], dataset)
        for score in history.scores
        if score.dataset == dataset and metric in score.metrics
    ]


def seconds_to(scores: Iterable[Score], value: float) -> float | None:
    """Return the seconds of training until a score is reached, or None if it never is.

    Between two validations time is interpolated linearly.

    Args:
        scores: Validations of a run, in order.
        value: The score in dB.
    """
    previous: Score | None = None
    for score in scores:
        if score.value >= value:
            if previous is None or score.value == previous.value:
                return score.seconds
            share = (value - previous.value) / (score.value - previous.value)
            return previous.seconds + share * (score.seconds - previous.seconds)
        previous = score
    return None

"""Summary of experiments in plain values: rows of the page's and the terminal's table, and of the CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from mg_basicsr.report.experiment import Experiment, last_score, metrics_of
from mg_basicsr.report.history import scores_of, seconds_to
from mg_basicsr.schedule.duration import duration_text

COLUMNS = (
    *('experiment', 'kind', 'iteration', 'seconds_trained', 'hours_trained', 'stage', 'clips', 'frames', 'gt_size'),
    *('lr', 'iter_seconds', 'data_seconds', 'memory_mib', 'skipped', 'dataset', 'metric', 'value'),
)


@dataclass(frozen=True)
class Row:
    """Row of the table: one experiment.

    Attributes:
        state: `finished`, or how far it is.
        iterations: Iterations trained, of all.
        time: Time of training.
        scores: Last score of each (set, metric) of the report.
        reached: Time of training until the first experiment's final score of the first metric.
        ratio: How many times sooner than the first experiment; '' for the first.
    """

    state: str
    iterations: str
    time: str
    scores: list[str]
    reached: str
    ratio: str


def summary(experiments: Sequence[Experiment]) -> list[Row]:
    """Return a row for each experiment.

    Args:
        experiments: At least one; the first is the one to which others are compared.
    """
    metrics = metrics_of(experiments)
    target = final_score(experiments)
    took = [_seconds_to(experiment, target) for experiment in experiments]
    rows = []
    for number, experiment in enumerate(experiments):
        seconds, first = took[number], took[0]
        faster = '' if number == 0 or not seconds or not first else f'{first / seconds:.2f}x'
        of_all = f' of {experiment.total_iter:,}' if experiment.total_iter else ''
        values = [(metric, last_score(experiment, dataset, metric)) for dataset, metric in metrics]
        rows.append(
            Row(
                _state(experiment),
                f'{experiment.history.iterations:,}{of_all}',
                duration_text(experiment.history.seconds),
                ['-' if value is None else _score(metric, value) for metric, value in values],
                '-' if target is None else 'not reached' if seconds is None else duration_text(seconds),
                faster,
            )
        )
    return rows


def final_score(experiments: Sequence[Experiment]) -> tuple[str, str, float] | None:
    """Return set, metric and final value of the first experiment in the first metric; None without one.

    Args:
        experiments: At least one.
    """
    for dataset, metric in metrics_of(experiments)[:1]:
        value = last_score(experiments[0], dataset, metric)
        if value is not None:
            return dataset, metric, value
    return None


def as_csv(experiments: Sequence[Experiment]) -> str:
    """Return all logged iterations (kind `step`) and scores (kind `score`) as CSV.

    Args:
        experiments: The experiments.
    """
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, restval='')
    writer.writeheader()
    for experiment in experiments:
        for point in experiment.history.points:
            clips, frames, size = point.shape or ('', '', '')
            row = _common(experiment, 'step', point.iteration, point.seconds)
            row |= {'stage': point.stage, 'clips': clips, 'frames': frames, 'gt_size': size, 'lr': point.lr}
            row |= {'iter_seconds': point.iter_seconds, 'data_seconds': point.data_seconds}
            writer.writerow(row | {'memory_mib': point.memory_mib, 'skipped': point.skipped})
        for score in experiment.history.scores:
            row = _common(experiment, 'score', score.iteration, score.seconds) | {'dataset': score.dataset}
            writer.writerows(row | {'metric': name, 'value': value} for name, value in score.metrics.items())
    return stream.getvalue()


def _common(experiment: Experiment, kind: str, iteration: int, seconds: float) -> dict[str, object]:
    return {
        'experiment': experiment.name,
        'kind': kind,
        'iteration': iteration,
        'seconds_trained': round(seconds, 3),
        'hours_trained': round(seconds / 3600, 6),
    }


def _seconds_to(experiment: Experiment, target: tuple[str, str, float] | None) -> float | None:
    if target is None:
        return None
    dataset, metric, value = target
    return seconds_to(scores_of(experiment.history, dataset, metric), value)


def _score(metric: str, value: float) -> str:
    return f'{value:.2f} dB' if metric == 'psnr' else f'{value:.4f}'


def _state(experiment: Experiment) -> str:
    if experiment.finished:
        return 'finished'
    last = f', last line {experiment.updated:%Y-%m-%d %H:%M}' if experiment.updated else ''
    left = '' if experiment.left is None else f', {duration_text(experiment.left)} left'
    return f'not finished{left}{last}'

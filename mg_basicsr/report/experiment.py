"""Experiment of BasicSR, read back from its folder: of a run with a record, or of a plain one by its logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from yaml import YAMLError

from mg_basicsr.errors import DataError, MultigridError, Problem
from mg_basicsr.parsing.yaml_text import parse_yaml
from mg_basicsr.report.history import History, scores_of
from mg_basicsr.report.run_record import FILE, Event, history_of, kept_events, read_events
from mg_basicsr.report.training_log import read_logs

PREFERRED = ('psnr', 'ssim')  # metrics in the order in which they are shown; others follow


@dataclass(frozen=True)
class Experiment:
    """Experiment.

    Attributes:
        name: Name of its folder.
        folder: The folder.
        history: Logged iterations and validations.
        total_iter: Iterations that it will have; 0 if unknown.
        finished: Whether all of them are trained.
        updated: Time of the last line.
        left: Estimated seconds left, if it is not finished and was estimated.
        options: Options by dotted path, as the file in the folder has them.
        start: Event of the newest start, with command and versions; empty without a record.
    """

    name: str
    folder: Path
    history: History
    total_iter: int
    finished: bool
    updated: datetime | None = None
    left: float | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    start: Event = field(default_factory=dict)

    @property
    def stage_seconds(self) -> dict[int, float]:
        """Seconds of training in each stage, by its number; a plain run is one stage."""
        found: dict[int, float] = {}
        before = 0.0
        for point in self.history.points:
            stage = point.stage or 1
            found[stage] = found.get(stage, 0.0) + point.seconds - before
            before = point.seconds
        return found


def read_experiment(folder: Path) -> Experiment:
    """Read an experiment, live or finished.

    Args:
        folder: `experiments/NAME`.

    Raises:
        DataError: it has neither a record nor a log with an iteration.
    """
    logs = sorted(folder.glob('train_*.log'), key=lambda path: (path.stem[-15:], path.name))
    record = folder / FILE
    try:
        if record.is_file() and (found := _of_record(folder, read_events(record))):
            return found
        if not logs:
            what = 'neither a record nor a log in it' if folder.is_dir() else 'no such folder'
            raise DataError(_nothing(folder, what))
        log = read_logs(logs)
    except OSError as error:
        raise DataError(_nothing(folder, f'{error.filename}: {error.strerror}')) from None
    options = read_options(folder)
    total = log.total_iter or int(options.get('train.total_iter', '0') if _whole(options) else 0)
    return Experiment(_name(folder), folder, log, total, log.finished, log.updated, None, options)


def read_options(folder: Path) -> dict[str, str]:
    """Return the options of an experiment by dotted path, from BasicSR's copy of its file; none if it has no copy."""
    for path in sorted(folder.glob('*.yml'), key=lambda path: path.stat().st_mtime, reverse=True):
        try:
            return dict(_flat(parse_yaml(path.read_text(encoding='utf-8', errors='replace')), ''))
        except (MultigridError, YAMLError, ValueError, OSError):
            continue
    return {}


def differing_options(experiments: Sequence[Experiment]) -> dict[str, list[str]]:
    """Return the options in which experiments differ: dotted path -> value in each, '' where it has none.

    Args:
        experiments: The experiments.
    """
    paths = dict.fromkeys(path for experiment in experiments for path in experiment.options)
    values = {path: [experiment.options.get(path, '') for experiment in experiments] for path in paths}
    return {path: each for path, each in values.items() if len(set(each)) > 1 and path != 'name'}


def metrics_of(experiments: Sequence[Experiment]) -> list[tuple[str, str]]:
    """Return every (validation set, metric) of experiments; PSNR first, then SSIM."""
    found = dict.fromkeys(
        (score.dataset, metric)
        for experiment in experiments
        for score in experiment.history.scores
        for metric in score.metrics
    )
    order = {name: number for number, name in enumerate(PREFERRED)}
    return sorted(found, key=lambda key: order.get(key[1], len(order)))


def last_score(experiment: Experiment, dataset: str, metric: str) -> float | None:
    """Return the last score of an experiment; None without one.

    Args:
        experiment: The experiment.
        dataset: Name of the validation set.
        metric: Name of the metric.
    """
    scores = scores_of(experiment.history, dataset, metric)
    return scores[-1].value if scores else None


def _of_record(folder: Path, all_events: list[Event]) -> Experiment | None:
    events = kept_events(all_events)
    history = history_of(events)
    starts = [event for event in events if event['event'] == 'start']
    if not history.points or not starts:
        return None
    finished = events[-1]['iter'] >= starts[-1].get('total_iter', 0) and any(e['event'] == 'end' for e in events)
    steps = [event for event in events if event['event'] == 'step']
    return Experiment(
        _name(folder),
        folder,
        history,
        int(starts[-1].get('total_iter', 0)),
        finished,
        datetime.fromtimestamp(float(events[-1].get('time', 0))),
        None if finished else steps[-1].get('left'),
        read_options(folder),
        starts[-1],
    )


def _name(folder: Path) -> str:
    return folder.resolve().name


def _whole(options: Mapping[str, str]) -> bool:
    return options.get('train.total_iter', '').isdigit()


def _flat(value: Any, path: str) -> list[tuple[str, str]]:
    if isinstance(value, dict) and value:
        return [pair for key, item in value.items() for pair in _flat(item, f'{path}.{key}' if path else str(key))]
    return [(path, '~' if value is None else str(value))]


def _nothing(folder: Path, what: str) -> Problem:
    return Problem(
        str(folder),
        what,
        f'needed: the folder of an experiment with {FILE} or train_*.log, of which an iteration is logged',
        'give experiments/NAME, or wait for the first line of its log',
    )

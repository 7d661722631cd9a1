"""Reader of BasicSR's training logs: iterations, seconds of training, and scores of validations."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from mg_basicsr.errors import DataError, Problem
from mg_basicsr.report.history import History, Point, Score

_TIME = re.compile(r'^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) ')
_START = re.compile(r'Start training from epoch: \d+, iter: (\d+)')
_TOTAL = re.compile(r'Total epochs: \d+; iters: (\d+)')
_END = re.compile(r'End of training\. Time consumed')
_ITERATION = re.compile(r'iter: *([\d,]+), lr:\(([^),]*)[^)]*\)\](.*)')
_TIMES = re.compile(r'time \(data\): ([\d.]+) \(([\d.]+)\)\]')
_VALUE = re.compile(r'(\S+): (-?(?:\d[\d.]*(?:e[+-]\d+)?|nan|inf))(?=\s|$|/)')
_VALIDATION = re.compile(r'Validation (\S+)')
_METRIC = re.compile(r'# (\S+): (-?[\d.]+|nan|inf)')


@dataclass
class TrainingLog(History):
    """Progress of a run as logged. Its seconds include data loading, but no validation.

    Attributes:
        total_iter: Iterations that it will have; 0 if the log does not say.
        finished: Whether training has ended after all of them.
        updated: Time of the last line.
    """

    total_iter: int = 0
    finished: bool = False
    updated: datetime | None = field(default=None)


def read_log(path: Path) -> TrainingLog:
    """Read the log file of a run that was not resumed in between.

    Raises:
        DataError: no iteration is logged.
    """
    return read_logs([path])


def read_logs(paths: Sequence[Path]) -> TrainingLog:
    """Read the log files of a run: one for each time that it was started, in order.

    Args:
        paths: The files, at least one.

    Raises:
        DataError: no iteration is logged in any.
    """
    log = TrainingLog()
    for path in paths:
        parse_log(path.read_text(encoding='utf-8', errors='replace').splitlines(), log)
    if not log.iterations:
        raise DataError(
            Problem(str(paths[0]), 'no iteration in it', 'needed: the train_*.log of a run that has trained')
        )
    return log


def parse_log(lines: Iterable[str], log: TrainingLog | None = None) -> TrainingLog:
    """Read the lines of a log.

    Only time between the start of training, or the end of a validation, and a logged iteration counts. A validation is
    assumed to begin when the iteration before it is logged.

    Args:
        lines: The lines.
        log: Log of the run so far, which is continued; a new one by default.
    """
    log = TrainingLog() if log is None else log
    since: datetime | None = None
    seconds = 0.0
    validation: list[str] = []
    for line in lines:
        stamp = _TIME.match(line)
        if validation and not stamp:
            validation.append(line)
            continue
        _close(log, validation, seconds)
        now = datetime.strptime(stamp[1], '%Y-%m-%d %H:%M:%S,%f') if stamp else None
        if match := _TOTAL.search(line):
            log.total_iter = int(match[1])
        if now is None:
            continue
        log.updated = now
        if match := _START.search(line):
            since, seconds, log.finished = now, log.forget_after(int(match[1])), False
        elif since and (match := _ITERATION.search(line)):
            seconds += (now - since).total_seconds()
            since = now
            log.points.append(_point(match, seconds))
        elif _VALIDATION.search(line):
            since, validation[:] = now, [line]
        elif _END.search(line):
            log.finished = True
    _close(log, validation, seconds)
    return log


def parse_validation(text: str) -> tuple[str, Mapping[str, float]] | None:
    r"""Return the set and the metrics of a log message about a validation; None for any other message.

    >>> parse_validation('\n'.join(['Validation REDS4', ' # psnr: 25.1000  # 000: 24.0000', ' # ssim: 0.7000']))
    ('REDS4', {'psnr': 25.1, 'ssim': 0.7})
    """
    first, *rest = text.splitlines() or ['']
    match = _VALIDATION.search(first)
    metrics = [metric for line in rest if (metric := first_metric(line))]
    return (match[1], dict(metrics)) if match and metrics else None


def first_metric(line: str) -> tuple[str, float] | None:
    """Return name and value of the first metric in a line; those after it are of single folders."""
    match = None if _TIME.match(line) else _METRIC.search(line)
    return (match[1], float(match[2])) if match else None


def _close(log: TrainingLog, validation: list[str], seconds: float) -> None:
    """Add the validation whose lines have been read."""
    found = parse_validation('\n'.join(validation))
    validation.clear()
    if found:
        dataset, metrics = found
        log.add_score(Score(log.iterations, seconds, next(iter(metrics.values())), dataset, metrics))


def _point(match: re.Match[str], seconds: float) -> Point:
    number, lr, rest = match.groups()
    times = _TIMES.search(rest)
    values = {name: float(value) for name, value in _VALUE.findall(rest[times.end() :] if times else rest)}
    shape = [values.pop(name, None) for name in ('clips', 'frames', 'gt_size')]
    stage = values.pop('stage', None)
    return Point(
        int(number.replace(',', '')),
        seconds,
        None if stage is None else int(stage),
        None if None in shape else tuple(int(edge) for edge in shape if edge is not None),  # type: ignore[arg-type]
        float(lr) if lr else None,
        float(times[1]) if times else None,
        float(times[2]) if times else None,
        losses={name: value for name, value in values.items() if name.startswith('l_')},
    )

"""Reader of BasicSR's training logs: iterations, seconds of training, and scores of validations."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from mg_basicsr.errors import DataError, Problem

_TIME = re.compile(r'^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) ')
_START = re.compile(r'Start training from epoch: \d+, iter: (\d+)')
_ITERATION = re.compile(r'iter: *([\d,]+), lr:\(([^)]*)\)\]')
_VALIDATION = re.compile(r'Validation (\S+)')
_METRIC = re.compile(r'# (\w+): (-?[\d.]+)')


@dataclass(frozen=True)
class Score:
    """Result of a validation.

    Attributes:
        iteration: Iterations before it.
        seconds: Seconds of training before it.
        value: PSNR in dB, or the first metric.
    """

    iteration: int
    seconds: float
    value: float


@dataclass
class TrainingLog:
    """Progress of a run, as logged.

    Attributes:
        iterations: Last iteration logged.
        seconds: Wall-clock time from the start of training to that iteration, data loading included, validation not.
        scores: Validations in order.
    """

    iterations: int = 0
    seconds: float = 0.0
    scores: list[Score] = field(default_factory=list)


def read_log(path: Path) -> TrainingLog:
    """Read the log file of a run that was not resumed in between.

    Raises:
        DataError: no iteration is logged.
    """
    log = parse_log(path.read_text(encoding='utf-8', errors='replace').splitlines())
    if not log.iterations:
        raise DataError(Problem(str(path), 'no iteration in it', 'needed: the train_*.log of a run that has trained'))
    return log


def parse_log(lines: Iterable[str]) -> TrainingLog:
    """Read the lines of a log.

    Only time between the start of training, or the end of a validation, and a logged iteration counts. A validation is
    assumed to begin when the iteration before it is logged.
    """
    log = TrainingLog()
    since: datetime | None = None
    validating = False
    for line in lines:
        stamp = _TIME.match(line)
        now = datetime.strptime(stamp[1], '%Y-%m-%d %H:%M:%S,%f') if stamp else None
        if now and _START.search(line):
            since = now
        elif now and since and (match := _ITERATION.search(line)):
            log.iterations = int(match[1].replace(',', ''))
            log.seconds += (now - since).total_seconds()
            since = now
        elif now and _VALIDATION.search(line):
            since, validating = now, True
        elif validating and (match := _METRIC.search(line)):
            if not log.scores or log.scores[-1].iteration < log.iterations:  # BasicSR validates twice at the very end
                log.scores.append(Score(log.iterations, log.seconds, float(match[2])))
            validating = False
    return log


def seconds_to(log: TrainingLog, value: float) -> float | None:
    """Return the seconds of training until a score is reached, or None if it never is.

    Between two validations time is interpolated linearly.

    Args:
        log: The run.
        value: The score in dB.
    """
    previous: Score | None = None
    for score in log.scores:
        if score.value >= value:
            if previous is None or score.value == previous.value:
                return score.seconds
            share = (value - previous.value) / (score.value - previous.value)
            return previous.seconds + share * (score.seconds - previous.seconds)
        previous = score
    return None

"""Record of a run as JSON lines, in the experiment's folder: one object per line, resumed runs appended.

    {"event": "start", "iter": 0, "command": ..., "versions": {...}, "plan": ..., "stages": [...], ...}
    {"event": "trial", "iter": 1, "seconds": 2.9, ...}
    {"event": "shapes", "iter": 1, "shapes": [[clips, frames, gt_size, passes, seconds], ...], ...}
    {"event": "step", "iter": 100, "trained": 61.2, "left": 5280.1, "stage": 1, "clips": 8, ...}
    {"event": "saving", "iter": 5000, "seconds": 1.4, ...}
    {"event": "validation", "iter": 5000, "seconds": 30.1, "dataset": "REDS4", "metrics": {"psnr": 27.1}, ...}
    {"event": "end", "iter": 300000, ...}

Every line has `time` (seconds since 1970), `iter` (iterations trained) and `trained` (seconds of training up to it:
steps and waiting for data, but no validation, no saving, and no time in which the run did not run). A line is written
in one call; one that a killed process left unfinished is cut off when the run is resumed, and ignored by readers.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mg_basicsr.report.history import History, Point, Score

FILE = 'multigrid.jsonl'
FORMAT = 1

Event = Mapping[str, Any]


class RecordWriter:
    """Writer of a run's record, which is created, or continued after its last whole line.

    Args:
        path: The file; its folder exists.

    Raises:
        OSError: the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        self._cut_unfinished_line()

    def write(self, event: str, **values: Any) -> None:
        """Append a line.

        Args:
            event: Kind of the line.
            values: Its values, as JSON can have them; numbers that are not finite become null.

        Raises:
            OSError: the line cannot be written whole.
        """
        line = json.dumps(_finite({'event': event, 'time': round(time.time(), 3), **values}), allow_nan=False) + '\n'
        data = line.encode()
        if os.write(self._file, data) != len(data):
            self._cut_unfinished_line()
            raise OSError(28, os.strerror(28))

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _cut_unfinished_line(self) -> None:
        size = end = os.fstat(self._file).st_size
        while end:
            start = max(0, end - 4096)
            place = os.pread(self._file, end - start, start).rfind(b'\n')
            if place >= 0:
                end = start + place + 1
                break
            end = start
        if end < size:
            os.ftruncate(self._file, end)


def read_events(path: Path) -> list[Event]:
    """Return the events of a record, in order, without lines that are not whole.

    Raises:
        OSError: the file cannot be read.
    """
    events: list[Event] = []
    for line in path.read_bytes().split(b'\n'):
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and isinstance(event.get('event'), str) and isinstance(event.get('iter'), int):
            events.append(event)
    return events


def kept_events(events: Iterable[Event]) -> list[Event]:
    """Return the events that count: without iterations that were lost, as the run was resumed from before them.

    Args:
        events: All events, in order.
    """
    kept: list[Event] = []
    for event in events:
        if event['event'] == 'start':
            kept = [older for older in kept if older['iter'] <= event['iter']]
        kept.append(event)
    return kept


def trained_seconds(events: Iterable[Event], iteration: int) -> float:
    """Return the seconds of training up to an iteration, from the last event that is not after it.

    Args:
        events: Events of a record.
        iteration: Iterations trained.
    """
    known = [event for event in kept_events(events) if event['iter'] <= iteration and 'trained' in event]
    return float(known[-1]['trained']) if known else 0.0


def history_of(events: Iterable[Event]) -> History:
    """Return the history in a record.

    Args:
        events: Events of a record.
    """
    history = History()
    for event in kept_events(events):
        if event['event'] == 'step':
            history.points.append(_point(event))
        elif event['event'] == 'validation' and event.get('metrics'):
            metrics = {name: value for name, value in event['metrics'].items() if value is not None}
            if metrics:
                value = next(iter(metrics.values()))
                dataset = str(event.get('dataset', ''))
                history.add_score(Score(event['iter'], float(event.get('trained', 0)), value, dataset, metrics))
    return history


def _point(event: Event) -> Point:
    shape = tuple(event.get(name) for name in ('clips', 'frames', 'gt_size'))
    return Point(
        event['iter'],
        float(event.get('trained', 0)),
        event.get('stage'),
        None if None in shape else shape,  # type: ignore[arg-type]
        next(iter(event.get('lr') or []), None),
        event.get('iter_seconds'),
        event.get('data_seconds'),
        event.get('memory_mib'),
        event.get('skipped'),
        {name: value for name, value in (event.get('losses') or {}).items() if value is not None},
    )


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value

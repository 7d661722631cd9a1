"""Errors of the estimated time left, read from records of finished runs.

    python benchmarks/estimate.py EXPERIMENT... [--json]

For each record (`multigrid.jsonl` in the experiment's folder): the estimate logged after 10, 30 and 60 % of the
iterations, and at the first log line after each resume, against the seconds that the run then took: training,
validation and saving, without the time in which it did not run. For comparison what BasicSR's own formula says at the
same places: the mean seconds of all iterations so far, times those that are left.

A run of the demo: `mg-basicsr demo -o DEMO`, then `python benchmarks/estimate.py DEMO/experiments/multigrid`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from mg_basicsr.report.run_record import FILE, Event, kept_events, read_events

SHARES = (0.1, 0.3, 0.6)
PAUSES = ('validation', 'saving')


def errors(path: Path) -> list[dict[str, Any]]:
    """The estimates of one record against the truth, in order."""
    events = kept_events(read_events(path / FILE if path.is_dir() else path))
    if not any(event['event'] == 'end' for event in events):
        raise SystemExit(f'{path}: the run has not ended')
    total = next(event['total_iter'] for event in events if event['event'] == 'start')
    places = {f'{share:.0%}': _first(events, share * total) for share in SHARES}
    for start in (event for event in events if event['event'] == 'start' and event['iter']):
        places[f'resumed at {start["iter"]:,}'] = _first(events, start['iter'] + 1)
    return [_row(events, name, events.index(step), total) for name, step in places.items() if step]


def _first(events: list[Event], iteration: float) -> Event | None:
    """The first logged iteration from one on."""
    return next((e for e in events if e['event'] == 'step' and e['iter'] >= iteration), None)


def _row(events: list[Event], place: str, number: int, total: int) -> dict[str, Any]:
    step, end = events[number], [event for event in events if event['event'] == 'end'][-1]
    truth = end['trained'] - step['trained'] + _pauses(events[number:])
    so_far = step['trained'] + _pauses(events[:number])
    host = so_far / step['iter'] * (total - step['iter'] - 1)
    return {
        'place': place,
        'iteration': step['iter'],
        'left': step['left'],
        'truth': truth,
        'error': step['left'] / truth - 1,
        'host_error': host / truth - 1,
    }


def _pauses(events: list[Event]) -> float:
    return sum(event['seconds'] for event in events if event['event'] in PAUSES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('experiments', nargs='+', type=Path)
    parser.add_argument('--json', action='store_true', help='one JSON object instead of a table')
    arguments = parser.parse_args()
    found = {path.name: errors(path) for path in arguments.experiments}
    if arguments.json:
        print(json.dumps(found, indent=1))
        return
    print(f'{"":24}{"iteration":>10}{"estimate":>10}{"truth":>10}{"error":>8}{"BasicSR":>9}')
    for name, rows in found.items():
        print(name)
        for row in rows:
            print(
                f'  {row["place"]:22}{row["iteration"]:10,}{row["left"]:9.1f}s{row["truth"]:9.1f}s'
                f'{row["error"]:8.0%}{row["host_error"]:9.0%}'
            )


if __name__ == '__main__':
    main()

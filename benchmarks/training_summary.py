"""What the records of training.py say: verdicts by length, stock's settings, parts of an iteration, network sizes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from training_protocol import Record, claims, final_psnr, judge

FIRST = 'first iteration'  # of a record: the start of workers and the check of every shape are in it
PARTS = ('loading', 'copying', 'forward', 'backward', 'optimiser')


def summarise(lines: Sequence[Record], arms: Sequence[str]) -> dict[str, Any]:
    """The summary of all records.

    Args:
        lines: The records, of kinds `run`, `stock` (ways of setting BasicSR's loop) and `sweep` (network sizes).
        arms: Names of the arms, stock first.
    """
    runs = [line for line in lines if line['kind'] == 'run']
    lengths = sorted({line['length'] for line in runs})
    last = lines[-1] if lines else {}
    return {
        'what': 'time to the PSNR of the best stock',
        'stock': arms[0],
        'lengths': {length: of_length([run for run in runs if run['length'] == length], arms) for length in lengths},
        'ways_of_stock': {line['way']: whole(line) for line in lines if line['kind'] == 'stock'},
        'sweep': sweep(lines),
        'machines': sorted({str(line['machine']) for line in lines}),
        'commits': sorted({line['commit'] for line in lines}),
        'versions': last.get('versions', {}),
    }


def of_length(runs: Sequence[Record], arms: Sequence[str]) -> dict[str, Any]:
    """The arms of one length of run: those that have claims."""
    by_arm: dict[str, list[Record]] = defaultdict(list)
    for run in claims(runs):
        by_arm[run['arm']].append(run)
    stock = by_arm[arms[0]]
    found: dict[str, Any] = {}
    for arm in arms if stock else ():
        if own := by_arm[arm]:
            found[arm] = {
                **judge(stock, own)._asdict(),
                'iterations': int(own[0]['curve'][-1][0]),
                'scores': {run['seed']: final_psnr(run) for run in own},
                'milliseconds': parts([run for run in own if run['timed']]),
                'curve': next((run['curve'] for run in own if run['timed']), None),
                'plan': own[0]['plan'],
            }
    return found


def parts(records: Sequence[Record]) -> dict[str, float] | None:
    """Milliseconds of an iteration by part, the first left out; `other` is what no part has: loss, log, plan."""
    rows = [row for record in records for shape, row in record['shapes'].items() if shape != FIRST]
    if not rows:
        return None
    iterations = sum(row['iterations'] for row in rows)
    found = {name: 1e3 * sum(row[name] for row in rows) / iterations for name in PARTS}
    all_of_it = 1e3 * sum(row['seconds'] for row in rows) / iterations
    return {**found, 'other': all_of_it - sum(found.values()), 'whole': all_of_it}


def whole(record: Record) -> float:
    """Milliseconds of an iteration."""
    return (parts([record]) or {})['whole']


def sweep(lines: Sequence[Record]) -> list[dict[str, Any]]:
    """Per network: arithmetic per loaded clip, milliseconds per iteration of each arm, medians of repeated runs."""
    networks: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    gflop: dict[str, float] = {}
    for line in lines:
        if line['kind'] == 'sweep':
            gflop[line['network']] = line['gflop']
            networks[line['network']][line['arm']].append(whole(line))
    return [
        {'network': name, 'gflop': gflop[name], 'arms': {arm: median(values) for arm, values in arms.items()}}
        for name, arms in sorted(networks.items(), key=lambda item: gflop[item[0]])
    ]


def markdown(summary: Mapping[str, Any]) -> str:
    """The tables of docs/benchmarks.md."""
    lines = ['| length | arm | iterations | PSNR, dB | against stock | p | seeds | minutes | times faster | counts |']
    lines.append('|---|---|---|---|---|---|---|---|---|---|')
    for length, arms in summary['lengths'].items():
        lines += [_row(length, arm, row) for arm, row in arms.items()]
    lines += [
        '',
        f'| length | ms per iteration | {" | ".join((*PARTS, "other", "whole"))} |',
        '|---' * (len(PARTS) + 4) + '|',
    ]
    for length, arms in summary['lengths'].items():
        for arm, row in arms.items():
            if row['milliseconds']:
                cells = ' | '.join(f'{value:.0f}' for value in row['milliseconds'].values())
                lines.append(f'| {length} | {arm} | {cells} |')
    lines += ['', '| way of running stock | ms per iteration |', '|---|---|']
    lines += [f'| {way} | {value:.0f} |' for way, value in summary['ways_of_stock'].items()]
    for row in summary['sweep']:
        cells = ', '.join(f'{arm} {value:.0f} ms' for arm, value in row['arms'].items())
        lines.append(f'{row["network"]}: {row["gflop"]:.1f} GFLOP per clip: {cells}')
    return '\n'.join(lines)


def _row(length: int, arm: str, row: Mapping[str, Any]) -> str:
    p = '' if row['p'] is None else f'{row["p"]:.1e}'
    minutes = '' if row['seconds'] is None else f'{row["seconds"] / 60:.2f} ({row["timed"]} runs)'
    ratio = '' if row['ratio'] is None else f'{row["ratio"]:.2f}'
    counts = '' if row['p'] is None else ('yes' if row['counts'] else 'no')
    cells = (length, arm, row['iterations'], f'{row["psnr"]:.3f}', f'{row["difference"]:+.3f}', p, row['seeds'])
    return f'| {" | ".join(map(str, (*cells, minutes, ratio, counts)))} |'

"""What the records of training.py say: times to the reference's PSNR, paired differences, parts of an iteration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, sqrt
from statistics import mean, median, stdev
from typing import Any

MARGIN = 0.02  # dB below the reference's final PSNR that counts as reached
FIRST = 'first iteration'  # of a record: the start of workers and the check of every shape are in it
PARTS = ('loading', 'copying', 'forward', 'backward', 'optimiser')

Record = Mapping[str, Any]
Runs = Mapping[str, Mapping[int, Record]]  # by arm and seed
Curve = Sequence[Sequence[float]]  # (iteration, seconds, PSNR) of each validation


def summarise(lines: Sequence[Record], arms: Sequence[str]) -> dict[str, Any]:
    """The summary of all records.

    Args:
        lines: The records, of kinds `run`, `prediction` and `sweep`.
        arms: Names of the arms, the reference first.
    """
    runs: dict[str, dict[int, Record]] = {arm: {} for arm in arms}
    for line in lines:
        if line['kind'] == 'run':
            runs[line['arm']][line['seed']] = line
    runs = {arm: by_seed for arm, by_seed in runs.items() if by_seed}
    last = lines[-1] if lines else {}
    return {
        'what': 'time to the same PSNR',
        'reference': arms[0],
        'arms': {arm: describe(runs, arm, arms[0]) for arm in runs},
        'curriculum_without_loading': without_loading(runs, arms[0]),
        'predictions': predictions(lines, runs),
        'sweep': sweep(lines),
        'machines': sorted({str(line['machine']) for line in lines}),
        'commits': sorted({line['commit'] for line in lines}),
        'versions': last.get('versions', {}),
        'load': [line['load'][0] for line in lines],
    }


def describe(runs: Runs, arm: str, reference: str) -> dict[str, Any]:
    """An arm over its seeds, and against the reference of the same seeds."""
    seeds = sorted(runs[arm])
    own = [runs[arm][seed] for seed in seeds]
    pairs = [(runs[reference][seed], runs[arm][seed]) for seed in seeds if seed in runs[reference]]
    to_target = [seconds_to(run['curve'], target(base)) for base, run in pairs]
    ratios = [seconds_to(base['curve'], target(base)) / took for (base, _), took in zip(pairs, to_target, strict=True)]
    differences = [final_psnr(run) - final_psnr(base) for base, run in pairs]
    return {
        'seeds': seeds,
        'iterations': int(min(own[0]['iterations'], own[0]['curve'][-1][0])),
        'seconds': median(run['seconds'] for run in own),
        'psnr': mean(map(final_psnr, own)),
        'to_target': finite(median(to_target)) if pairs else None,
        'ratio': median(ratios) if pairs else None,
        'ratio_range': [min(ratios), max(ratios)] if pairs else None,
        'psnr_difference': mean(differences) if pairs else None,
        'psnr_standard_error': stdev(differences) / sqrt(len(differences)) if len(differences) > 1 else None,
        'milliseconds': parts(own),
        'curves': {seed: runs[arm][seed]['curve'] for seed in seeds},
    }


def final_psnr(record: Record) -> float:
    """Of the last validation, dB."""
    return float(record['curve'][-1][2])


def target(reference: Record) -> float:
    """The PSNR in dB that every arm of this seed is timed to."""
    return final_psnr(reference) - MARGIN


def seconds_to(curve: Curve, value: float) -> float:
    """Seconds of training to the first validation at or above `value`, between two validations by linear interpolation;
    infinite if there is none.
    """
    before: Sequence[float] | None = None
    for point in curve:
        if point[2] >= value:
            if before is None:
                return float(point[1])
            share = (value - before[2]) / (point[2] - before[2])
            return float(before[1] + share * (point[1] - before[1]))
        before = point
    return inf


def finite(seconds: float) -> float | None:
    """None for a time that never comes, since JSON has no infinity."""
    return None if seconds == inf else seconds


def parts(records: Sequence[Record]) -> dict[str, float]:
    """Milliseconds of an iteration by part, the first left out; `other` is what no part has: loss, log, plan."""
    rows = [row for record in records for shape, row in record['shapes'].items() if shape != FIRST]
    iterations = sum(row['iterations'] for row in rows)
    found = {name: 1e3 * sum(row[name] for row in rows) / iterations for name in PARTS}
    whole = 1e3 * sum(row['seconds'] for row in rows) / iterations
    return {**found, 'other': whole - sum(found.values()), 'whole': whole}


def without_loading(runs: Runs, reference: str) -> dict[str, float] | None:
    """How much sooner the curriculum alone is through the same number of iterations, waiting for data left out.

    Both arms read the store, so that no worker takes a core from the step.
    """
    if 'store' not in runs or 'curriculum + store' not in runs:
        return None
    full, curriculum = (parts(list(runs[arm].values())) for arm in ('store', 'curriculum + store'))
    whole = full['whole'] / curriculum['whole']
    return {'ratio': (full['whole'] - full['loading']) / (curriculum['whole'] - curriculum['loading']), 'whole': whole}


def predictions(lines: Sequence[Record], runs: Runs) -> list[dict[str, Any]]:
    """Seconds that `check` predicted beside those that the iterations took, start-up left out."""
    found = []
    for line in lines:
        if line['kind'] == 'prediction':
            for side, arm in (('baseline', 'store'), ('multigrid', line['arm'])):
                if arm in runs:
                    took = median(iterating(run) for run in runs[arm].values())
                    said = line['seconds'][side]
                    found.append({'arm': arm, 'predicted': said, 'took': took, 'deviation': said / took - 1})
            found[-1]['ideal_speedup'] = line['ideal_speedup']
    return found


def iterating(record: Record) -> float:
    """Seconds of all iterations, had the first taken what its shape's others take."""
    rows = {shape: row for shape, row in record['shapes'].items() if shape != FIRST}
    first = next(iter(rows.values()))
    return float(sum(row['seconds'] for row in rows.values()) + first['seconds'] / first['iterations'])


def sweep(lines: Sequence[Record]) -> list[dict[str, Any]]:
    """Per network: arithmetic per loaded clip, milliseconds per iteration of each arm."""
    found: dict[str, dict[str, Any]] = {}
    for line in lines:
        if line['kind'] == 'sweep':
            row = found.setdefault(line['network'], {'network': line['network'], 'gflop': line['gflop'], 'arms': {}})
            row['arms'][line['arm']] = parts([line])
    return sorted(found.values(), key=lambda row: float(row['gflop']))


def markdown(summary: Mapping[str, Any]) -> str:
    """The tables of docs/benchmarks.md."""
    lines = ['| arm | iterations | minutes | PSNR | against stock | minutes to target | times sooner (range) | seeds |']
    lines.append('|---|---|---|---|---|---|---|---|')
    for arm, row in summary['arms'].items():
        reached = 'never' if row['to_target'] is None else f'{row["to_target"] / 60:.2f}'
        error = '' if row['psnr_standard_error'] is None else f' ± {row["psnr_standard_error"]:.3f}'
        low, high = row['ratio_range']
        lines.append(
            f'| {arm} | {row["iterations"]} | {row["seconds"] / 60:.2f} | {row["psnr"]:.3f} dB '
            f'| {row["psnr_difference"]:+.3f}{error} | {reached} | {row["ratio"]:.2f} ({low:.2f} to {high:.2f}) '
            f'| {len(row["seeds"])} |'
        )
    lines += ['', f'| ms per iteration | {" | ".join((*PARTS, "other", "whole"))} |', '|---' * (len(PARTS) + 3) + '|']
    for arm, row in summary['arms'].items():
        lines.append(f'| {arm} | ' + ' | '.join(f'{value:.0f}' for value in row['milliseconds'].values()) + ' |')
    if alone := summary['curriculum_without_loading']:
        lines += ['', f'Curriculum alone, loading left out, same iterations: {alone["ratio"]:.2f}x']
    for row in summary['predictions']:
        said, took, off = row['predicted'], row['took'], row['deviation']
        lines.append(f'Predicted for {row["arm"]}: {said:.1f} s, took {took:.1f} s ({off:+.0%})')
    for row in summary['sweep']:
        cells = ', '.join(f'{arm} {value["whole"]:.0f} ms' for arm, value in row['arms'].items())
        lines.append(f'{row["network"]}: {row["gflop"]:.1f} GFLOP per clip: {cells}')
    return '\n'.join(lines)

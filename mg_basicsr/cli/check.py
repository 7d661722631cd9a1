"""`mg-basicsr check`: try everything that could fail later, and estimate how long the run will take. Writes nothing."""

from __future__ import annotations

import argparse
import io
import json
import sys
from contextlib import redirect_stdout
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TextIO

from mg_basicsr.cli.planned_file import add_file_arguments, load_file, print_advice
from mg_basicsr.patching import in_force, missing
from mg_basicsr.schedule.describe import describe
from mg_basicsr.schedule.duration import duration_text, seconds_per_iter

if TYPE_CHECKING:
    from mg_basicsr.host.check import Figures, Report
    from mg_basicsr.schedule.plan import Stage


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument('--json', action='store_true', help='one JSON object')
    parser.add_argument('-v', '--verbose', action='store_true', help='also list the patches to BasicSR and torch')
    add_file_arguments(parser, 'number of ranks, of which one is tried (default: as `plan`)')


def run(arguments: argparse.Namespace) -> int:
    """Check the run, print the figures, and return the exit code."""
    from rich.console import Console

    file = load_file(arguments)
    console = Console(stderr=True, highlight=False)
    # Networks and BasicSR may print, but standard output must hold the result only, for `--json`.
    with console.status('options and files') as status, redirect_stdout(io.StringIO()):
        from mg_basicsr.host.check import check

        report = check(file, arguments.world_size, lambda doing: status.update(doing))
    print_advice(file, report.settings)
    if arguments.json:
        print(json.dumps(described(report), indent=2))
    else:
        print_table(report, arguments.opt)
    if arguments.verbose:
        print_patches(sys.stderr if arguments.json else sys.stdout)
    return 0


def described(report: Report) -> dict[str, Any]:
    """Return the object of `plan --json`, with seconds and memory in each stage and the hours of both runs."""
    plan = report.settings.plan
    facts = describe(plan, report.settings.baseline)
    for stage, told in zip(plan.stages, facts['stages'], strict=True):
        told['seconds_per_iter'] = seconds_per_iter(stage, lambda batch: report.figures[batch].seconds)
        told['peak_memory_mib'] = _peak(_figures(report, stage))
    return {**facts, 'hours': report.hours}


def print_table(report: Report, name: str) -> None:
    """Print the check as a table, within 80 columns.

    Args:
        report: Result of the check.
        name: Path of the options file.
    """
    from rich.console import Console
    from rich.table import Table

    plan, base = report.settings.plan, report.settings.baseline
    console = Console(highlight=False)
    print(f'{name}: every shape works on one rank of {plan.world_size} ({report.device})')
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ('', 'iterations', 'clips', 'frames', 'GT', 'LQ', 'MiB', 'step', 'loading', 's/iter', 'time'):
        table.add_column(column, justify='right', no_wrap=True)

    def row(label: str, iterations: int, batch_of: Any, each: list[Figures], seconds: float) -> None:
        shape, peak = batch_of.shape, _peak(each)
        mean = [sum(values) / len(each) for values in zip(*((f.compute, f.loading) for f in each), strict=True)]
        table.add_row(
            *(label, f'{iterations:,}', str(shape.clips), str(shape.frames), str(shape.size)),
            *(str(shape.size // base.scale), '-' if peak is None else f'{peak:,.0f}'),
            *(f'{value:.3g}' for value in (*mean, seconds)),
            duration_text(iterations * seconds),
        )

    for stage in plan.stages:
        seconds = seconds_per_iter(stage, lambda batch: report.figures[batch].seconds)
        row(str(stage.index + 1), stage.iters, stage, _figures(report, stage), seconds)
    row('stock', base.total_iter, base, [report.baseline], report.baseline.seconds)
    console.print(table)
    hours, now = report.hours, datetime.now()
    shown = {key: duration_text(3600 * value) for key, value in hours.items()}
    ends = {key: (now + timedelta(hours=value)).strftime('%a %d %b %Y %H:%M') for key, value in hours.items()}
    console.print(
        f'{shown["multigrid"]} instead of {shown["baseline"]}: started now, it ends on '
        f'{ends["multigrid"]}, and without the block on {ends["baseline"]}.\n'
        'Seconds of a step and of one worker loading for it; validation, saving, and what ranks exchange come on top.',
        markup=False,
    )


def print_patches(file: TextIO) -> None:
    """Print every patch that is in force, one a line, and the effect of functions that this basicsr lacks."""
    for line in (*in_force(), *missing()):
        print(line, file=file)


def _figures(report: Report, stage: Stage) -> list[Figures]:
    return [report.figures[batch] for batch in stage.batches]


def _peak(figures: list[Figures]) -> float | None:
    """Return the highest peak of several shapes; None where it is not measured."""
    peaks = [each.peak_mib for each in figures if each.peak_mib is not None]
    return max(peaks, default=None)

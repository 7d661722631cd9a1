"""`mg-basicsr check`: try everything that could fail later, and estimate how long the run will take. Writes nothing."""

from __future__ import annotations

import argparse
import io
import json
import sys
from contextlib import redirect_stdout
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from mg_basicsr.cli.planned_file import add_file_arguments, load_file, print_advice
from mg_basicsr.cli.progress_line import progress_line
from mg_basicsr.host.entry.script import import_classes
from mg_basicsr.host.entry.search_path import put_first
from mg_basicsr.patching import in_force, missing
from mg_basicsr.schedule.describe import describe
from mg_basicsr.schedule.duration import duration_text, seconds_per_iter, seconds_text

if TYPE_CHECKING:
    from rich.console import Console

    from mg_basicsr.host.check import Figures, Report
    from mg_basicsr.schedule.duration import Bound
    from mg_basicsr.schedule.plan import Stage
    from mg_basicsr.schedule.ways import Way

BOUNDS: dict[Bound, str] = {'loading': 'loading', 'arithmetic': 'arithmetic', 'cores': 'both, on the same cores'}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument('--json', action='store_true', help='one JSON object')
    parser.add_argument('-v', '--verbose', action='store_true', help='also list the patches to BasicSR and torch')
    parser.add_argument('--no-stock', action='store_true', help='do not time stock BasicSR')
    parser.add_argument(
        '--no-others', action='store_true', help='do not time this run in other ways: from a store, with other options'
    )
    parser.add_argument(
        '--compile', action='store_true', help='also time multigrid.compile: true, which takes minutes to compile'
    )
    parser.add_argument(
        '--script', type=Path, metavar='T.py', help="a repository's training script, whose imports register its classes"
    )
    add_file_arguments(parser, 'number of ranks, of which one is tried (default: as `plan`)')


def run(arguments: argparse.Namespace) -> int:
    """Check the run, print the figures, and return the exit code."""
    file = load_file(arguments)
    # Networks and BasicSR may print, but standard output must hold the result only, for `--json`.
    with progress_line('check') as show, redirect_stdout(io.StringIO()):
        show('loading torch and BasicSR')
        from mg_basicsr.host.check import check
        from mg_basicsr.host.timing.comparison import Parts

        if arguments.script:
            put_first(arguments.script)
            import_classes(arguments.script)
        parts = Parts(not arguments.no_stock, not arguments.no_others, arguments.compile)
        report = check(file, arguments.world_size, show, parts)
    print_advice(file, report.settings)
    if arguments.json:
        print(json.dumps(described(report), indent=2))
    else:
        print_table(report, arguments.opt)
    if arguments.verbose:
        print_patches(sys.stderr if arguments.json else sys.stdout)
    return 0


def described(report: Report) -> dict[str, Any]:
    """Return the object of `plan --json`, with seconds and memory in each stage, and hours in each way."""
    plan = report.settings.plan
    facts = describe(plan, report.settings.baseline)
    for stage, told in zip(plan.stages, facts['stages'], strict=True):
        told['seconds_per_iter'] = seconds_per_iter(stage, lambda batch: report.figures[batch].seconds)
        told['peak_memory_mib'] = _peak(_figures(report, stage))
    ways = [_described_way(way) for way in report.ways]
    return {**facts, 'hours': {**report.hours, 'ways': ways, 'advice': report.advice or None}}


def _described_way(way: Way) -> dict[str, Any]:
    hours = None if way.seconds is None else way.seconds / 3600
    return {'way': way.name, 'change': way.change or None, 'hours': hours, 'bound': way.bound, 'note': way.note or None}


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
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for column in ('', 'iterations', 'clips', 'frames', 'GT', 'LQ', 'MiB', 'step', 'loading', 's/iter', 'time'):
        table.add_column(column, justify='right', no_wrap=True)

    def row(label: str, iterations: int, batch_of: Any, each: list[Figures], seconds: float) -> None:
        shape, peak = batch_of.shape, _peak(each)
        mean = [sum(values) / len(each) for values in zip(*((f.compute, f.loading) for f in each), strict=True)]
        table.add_row(
            *(label, f'{iterations:,}', str(shape.clips), str(shape.frames), str(shape.size)),
            *(str(shape.size // base.scale), '-' if peak is None else f'{peak:,.0f}'),
            *(seconds_text(value) for value in (*mean, seconds)),
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
    print_ways(report, console)


def print_ways(report: Report, console: Console) -> None:
    """Print what the run takes in each way, what bounds it, and the change that brings most.

    Args:
        report: Result of the check.
        console: Where to print.
    """
    from rich.markup import escape
    from rich.table import Table

    if len(report.ways) < 2:
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ('this run', 'time', 'bound by', ''):
        table.add_column(column, no_wrap=column != '', overflow='fold')
    for way in report.ways:
        time = '-' if way.seconds is None else duration_text(way.seconds)
        table.add_row(*(escape(text) for text in (way.name, time, BOUNDS[way.bound] if way.bound else '-', way.note)))
    console.print()
    console.print(table)
    if report.advice:
        console.print(report.advice, markup=False)


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

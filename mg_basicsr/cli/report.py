"""`mg-basicsr report`: experiments side by side, live or finished, of BasicSR with or without this package."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mg_basicsr.errors import ConfigError, Problem

if TYPE_CHECKING:
    from mg_basicsr.report.experiment import Experiment

PAGE = Path('report.html')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        'experiments', nargs='+', type=Path, metavar='EXP', help='experiments/NAME; the first is compared to'
    )
    parser.add_argument(
        '-o', '--output', type=Path, metavar='P.html', help='one page that needs no network (report.html)'
    )
    parser.add_argument('--png', type=Path, metavar='P.png', help='the charts as a picture')
    parser.add_argument('--svg', type=Path, metavar='P.svg', help='the charts as a drawing')
    parser.add_argument('--csv', type=Path, metavar='P.csv', help='all logged iterations and scores')


def run(arguments: argparse.Namespace) -> int:
    """Read the experiments, write what is asked for, print the table, and return the exit code."""
    from mg_basicsr.atomic_files import write_whole
    from mg_basicsr.report.charts import save_charts
    from mg_basicsr.report.experiment import read_experiment
    from mg_basicsr.report.page import page
    from mg_basicsr.report.summary import as_csv

    experiments = [read_experiment(folder) for folder in arguments.experiments]
    output = arguments.output
    if output is None and not (arguments.png or arguments.svg or arguments.csv):
        output = PAGE
    _write('-o', output, lambda path: write_whole(path, page(experiments)))
    _write('--png', arguments.png, lambda path: save_charts(experiments, path))
    _write('--svg', arguments.svg, lambda path: save_charts(experiments, path))
    _write('--csv', arguments.csv, lambda path: write_whole(path, as_csv(experiments)))
    print_table(experiments)
    for path in filter(None, (output, arguments.png, arguments.svg, arguments.csv)):
        print(f'Written: {path}')
    return 0


def print_table(experiments: list[Experiment]) -> None:
    """Print the summary of experiments as a table."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from mg_basicsr.errors import printable
    from mg_basicsr.report.experiment import metrics_of
    from mg_basicsr.report.summary import final_score, summary

    target = final_score(experiments)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    reached = [f'time to {target[2]:.2f}', 'speed-up'] if target else []
    heads = ['experiment', 'state', 'iterations', 'time', *(f'{m} {d}'.strip() for d, m in metrics_of(experiments))]
    for name in [*heads, *reached]:
        table.add_column(Text(printable(name)))
    for experiment, row in zip(experiments, summary(experiments), strict=True):
        cells = [experiment.name, row.state, row.iterations, row.time, *row.scores]
        table.add_row(*(Text(printable(cell)) for cell in [*cells, *([row.reached, row.ratio] if target else [])]))
    Console(highlight=False).print(table)


def _write(option: str, path: Path | None, write: Callable[[Path], None]) -> None:
    if path is None:
        return
    try:
        write(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, 'strerror', None) or str(error)
        raise ConfigError(
            Problem(
                f'{option} {path}', reason, 'allowed: a file in a folder that can be written to', 'give another path'
            )
        ) from None

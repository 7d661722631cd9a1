"""`mg-basicsr plan`: print the stages of a run and their cost. Imports neither torch nor basicsr."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from mg_basicsr.cli.plan_comparison import compare
from mg_basicsr.cli.planned_file import add_file_arguments, load_file, print_advice
from mg_basicsr.config.explicit_block import explicit_block
from mg_basicsr.config.grid import wanted_grid
from mg_basicsr.config.resolve import Settings, resolve
from mg_basicsr.data.listing.meta_files import read_meta_file
from mg_basicsr.errors import ConfigError, Problem
from mg_basicsr.schedule.describe import describe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    form = parser.add_mutually_exclusive_group()
    form.add_argument('--json', action='store_true', help='one JSON object')
    form.add_argument('--yaml', action='store_true', help='the plan as an explicit block, to be pasted into the file')
    parser.add_argument('--plot', type=Path, metavar='P.png', help='also draw shapes and rates over the iterations')
    parser.add_argument(
        '--compare', nargs=2, metavar=('A.yml', 'B.yml'), help='two files side by side, in place of -opt'
    )
    add_file_arguments(parser, 'number of ranks (default: an integer num_gpu, else 1)')


def run(arguments: argparse.Namespace) -> int:
    """Plan the file, print the plan in the requested form, and return the exit code."""
    if arguments.compare:
        return compare(arguments)
    file = load_file(arguments)
    settings = resolve(file, arguments.world_size)
    check_list(settings)
    print_advice(file, settings)
    if arguments.plot:
        draw(settings, arguments.plot)
    if arguments.json:
        print(json.dumps(describe(settings.plan, settings.baseline), indent=2))
    elif arguments.yaml:
        print(explicit_block(file.options['multigrid'], settings, store_tells(settings)), end='')
    else:
        print_table(settings, arguments.opt)
        if arguments.plot:
            print(f'Drawn in {arguments.plot}.')
    return 0


def check_list(settings: Settings) -> None:
    """Read the list of clips, if it is on this machine: a run with a damaged one would be refused.

    Raises:
        DataError: lines of it are damaged.
    """
    options, kind = settings.train_set.options, settings.train_set.kind
    path = options.meta_info_file if options else None
    if path and kind and kind.layout != 'images' and os.path.exists(path):
        read_meta_file(path, kind.layout)


def draw(settings: Settings, path: Path) -> None:
    """Draw the plan.

    Args:
        settings: The resolved options file.
        path: Path of the figure.

    Raises:
        ConfigError: the path cannot be written, or its ending is not that of an image format.
    """
    from mg_basicsr.report.plan_plot import plot_plan

    try:
        plot_plan(settings.plan, settings.baseline, path)
    except (OSError, ValueError) as error:
        reason = getattr(error, 'strerror', None) or str(error)
        raise ConfigError(
            Problem(f'--plot {path}', f'{reason}', 'allowed: a PNG in a folder that exists', 'give another path')
        ) from None


def store_tells(settings: Settings) -> bool:
    """Return whether the store of the training set records how LQ was made, for grids that depend on it."""
    if settings.block.spatial_stride is not None or not wanted_grid(settings.block, settings.baseline).spatial:
        return False
    from mg_basicsr.host.store_inputs import stored_degradation  # imports numpy, which other plans do without

    return stored_degradation(settings) is not None


def grid_lines(settings: Settings) -> list[str]:
    """Return lines about the sampling grid, one for strides in time and one for spans in space; none without a grid."""
    if settings.train_set.options is None:  # the host's own dataset, adapted, has no grid
        return []
    grid = wanted_grid(settings.block, settings.baseline)
    limits = [grid.limits(shape) for shape in settings.plan.shapes]
    stride, span = (max(limit) for limit in zip(*limits, strict=True))
    block = settings.block
    known = '' if block.spatial_stride or block.degradation else ', if it is known how LQ was made'
    return [
        *([f'Clips take every k-th frame, k up to {stride} by stage.'] if stride > 1 else []),
        *([f'Crops show GT spans of up to {span} pixels, resampled{known}.'] if span else []),
    ]


def print_table(settings: Settings, name: str) -> None:
    """Print the plan as a table, within 80 columns.

    Args:
        settings: The resolved options file.
        name: Path of the options file.
    """
    from rich.console import Console
    from rich.table import Table

    plan, base = settings.plan, settings.baseline
    facts = describe(plan, base)
    console = Console(highlight=False)
    print(f'{name}: preset {settings.block.preset}, {plan.world_size} rank{"s" * (plan.world_size > 1)}')
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ('', 'from', 'to', 'clips', 'passes', 'frames', 'GT', 'LQ', 'lr', 'to lr', 'work'):
        table.add_column(column, justify='right', no_wrap=True)
    for stage, told in zip(plan.stages, facts['stages'], strict=True):
        place = [str(stage.index + 1), f'{stage.start + 1:,}', f'{stage.stop:,}']
        rates = [f'{lr:.1e}' for lr in told['lr']]
        for batch in stage.batches:  # a short cycle has a row for each shape, in turn
            shape = batch.shape
            numbers = (shape.clips, batch.accumulate, shape.frames, shape.size, shape.size // base.scale)
            table.add_row(*place, *map(str, numbers), *rates, f'{shape.pixels / base.shape.pixels:.2f}')
            place, rates = [''] * len(place), [''] * len(rates)
    console.print(table)
    if any(len(stage.batches) > 1 for stage in plan.stages):
        console.print('Several rows to a stage: a short cycle, one shape per iteration, in turn.')
    console.print(
        f'{plan.total_iter:,} iterations instead of {base.total_iter:,}; {facts["samples"]:,} clips; '
        f'warm-up over {plan.warmup_iter:,} iterations.\n'
        f'Work (clips x frames x size^2; a step of the baseline = 1): {facts["cost"]["multigrid"]:.3f} of the '
        f"baseline's run, ideal speed-up {facts['ideal_speedup']:.2f}x."
    )
    for line in grid_lines(settings):
        console.print(line)

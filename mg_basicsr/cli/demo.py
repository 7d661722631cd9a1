"""`mg-basicsr demo`: train the same options file without and with the block, on clips that the package makes itself."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mg_basicsr.config.resolve import resolve
from mg_basicsr.errors import Problem, TrainingError
from mg_basicsr.parsing.options_file import load_options
from mg_basicsr.parsing.yaml_text import parse_yaml
from mg_basicsr.schedule.describe import describe

if TYPE_CHECKING:
    from rich.progress import Progress

    from mg_basicsr.report.training_log import TrainingLog

_ITERATION = re.compile(r'iter: *([\d,]+), lr:')
BLOCK = 'multigrid:'


@dataclass(frozen=True)
class Arm:
    """One of the two runs of the demo.

    Attributes:
        label: Name in the table.
        options: Path of the options file.
        experiment: Folder of the experiment.
    """

    label: str
    options: Path
    experiment: Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument('-o', '--output', type=Path, default=Path('mg_basicsr_demo'), help='folder of data and results')


def run(arguments: argparse.Namespace) -> int:
    """Make the data, train both runs, print the table, draw the figure, and return the exit code."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from mg_basicsr.demo.data import SCALE, make_data
    from mg_basicsr.host.store_inputs import bicubic
    from mg_basicsr.report.training_log import read_log

    root: Path = arguments.output
    root.mkdir(parents=True, exist_ok=True)
    columns = TextColumn('{task.description:32}'), BarColumn(), MofNCompleteColumn()
    console = Console(highlight=False)
    console.print(f'Demo in {root}: two trainings on the CPU, about four minutes on two cores.')
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console) as progress:
        tasks: dict[str, Any] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=total)
            progress.update(tasks[what], completed=done)

        make_data(root / 'datasets', partial(bicubic, scale=SCALE), show)
        arms = write_options(root)
        execute(['prepare', '-opt', arms[-1].options.name, '--workers', '2'], root)
        for arm in arms:
            train(arm, root, progress)
    logs = {arm.label: read_log(newest_log(arm)) for arm in arms}
    picture = draw(root, arms, logs)
    print_table(arms, logs, picture)
    return 0


def write_options(root: Path) -> list[Arm]:
    """Write both options files: the package's own, and for the first run the same without the block at its end."""
    text = files('mg_basicsr').joinpath('demo/demo.yml').read_text(encoding='utf-8')
    arms = []
    for name, label in (('stock', 'BasicSR'), ('multigrid', 'BasicSR + multigrid block')):
        own = text if name == 'multigrid' else text[: text.index(f'\n{BLOCK}')] + '\n'
        path = root / f'{name}.yml'
        path.write_text(own.replace('name: demo\n', f'name: {name}\n', 1), encoding='utf-8')
        arms.append(Arm(label, path, root / 'experiments' / name))
    return arms


def train(arm: Arm, root: Path, progress: Progress) -> None:
    """Train one run in a separate process, as a user would, and show its progress.

    Args:
        arm: The run.
        root: Folder of the demo.
        progress: Progress bars, to which one is added.
    """
    options = load_options(arm.options)
    total = resolve(options).plan.total_iter if options.has_block else options.options['train']['total_iter']
    task = progress.add_task(arm.label, total=total)

    def show(line: str) -> None:
        if match := _ITERATION.search(line):
            progress.update(task, completed=int(match[1].replace(',', '')))

    execute(['train', '-opt', arm.options.name], root, show)


def execute(command: list[str], root: Path, show: Callable[[str], None] = lambda line: None) -> None:
    """Run a command of this package in a separate process.

    Args:
        command: Name of the command and its arguments.
        root: Working directory.
        show: Receives each line of the output.

    Raises:
        TrainingError: the process failed; its last lines are in the message.
    """
    command = [sys.executable, '-m', 'mg_basicsr', *command]
    # OpenMP threads that wait by spinning would take the cores from the loader's workers.
    environment = {'OMP_WAIT_POLICY': 'PASSIVE', **os.environ}
    process = subprocess.Popen(
        command, cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    last: list[str] = []
    for line in process.stdout:
        last = [*last[-9:], line.rstrip()]
        show(line)
    if process.wait():
        raise TrainingError(Problem(' '.join(command), f'exit code {process.returncode}', '\n  '.join(last)))


def newest_log(arm: Arm) -> Path:
    """Return the log of a run's last training."""
    return max(arm.experiment.glob('train_*.log'), key=lambda path: path.stat().st_mtime)


def draw(root: Path, arms: list[Arm], logs: dict[str, TrainingLog]) -> Path:
    """Draw the figure: PSNR against training time, and one frame of two clips as restored by each network.

    Args:
        root: Folder of the demo.
        arms: Both runs.
        logs: Their logs, by label.

    Returns:
        Path of the figure.
    """
    from mg_basicsr.demo.data import bicubic_psnr, read_clip, restore
    from mg_basicsr.demo.figure import Curve, make_strip, plot_demo

    network = dict(parse_yaml(arms[0].options.read_text(encoding='utf-8'))['network_g'])
    network.pop('type')
    curves = [
        Curve(label, [score.seconds for score in log.scores], [score.value for score in log.scores])
        for label, log in logs.items()
    ]
    strips = []
    for folder in sorted((root / 'datasets/val/GT').iterdir())[:2]:
        lq, gt = read_clip(root / 'datasets/val/LQ' / folder.name), read_clip(folder)
        middle = len(gt) // 2
        results = {arm.label: restore(arm.experiment / 'models/net_g_latest.pth', network, lq)[middle] for arm in arms}
        strips.append(make_strip(lq[middle], gt[middle], results))
    return plot_demo(root / 'demo.png', curves, strips, bicubic_psnr(root / 'datasets'))


def print_table(arms: list[Arm], logs: dict[str, TrainingLog], picture: Path) -> None:
    """Print iterations, shapes, minutes and PSNR of both runs, and the minutes to the final PSNR of the first.

    Args:
        arms: Both runs.
        logs: Their logs, by label.
        picture: Path of the figure.
    """
    from rich.console import Console
    from rich.table import Table

    from mg_basicsr.report.history import seconds_to

    target = logs[arms[0].label].scores[-1].value
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ('', 'iterations', 'frames x LQ size', 'minutes', 'PSNR', f'minutes to {target:.2f} dB'):
        table.add_column(column, justify='left' if column in ('', 'frames x LQ size') else 'right')
    for arm in arms:
        log = logs[arm.label]
        reached = seconds_to(log.scores, target)
        table.add_row(
            arm.label,
            f'{log.iterations:,}',
            shapes(arm.options),
            f'{log.seconds / 60:.1f}',
            f'{log.scores[-1].value:.2f} dB',
            'not reached' if reached is None else f'{reached / 60:.1f}',
        )
    console = Console(highlight=False)
    console.print(table)
    stock, ours = (logs[arm.label] for arm in arms)
    console.print(
        f'\nTraining time with data loading, without validation: {stock.seconds / ours.seconds:.2f}x shorter for '
        f'{ours.iterations:,} iterations.\nPicture: {picture}'
    )


def shapes(path: Path) -> str:
    """Return the shapes of a run in order, as frames x LQ size."""
    file = load_options(path)
    if not file.has_block:
        train_set, scale = file.options['datasets']['train'], file.options['scale']
        return f'{train_set["num_frame"]}x{train_set["gt_size"] // scale}'
    settings = resolve(file)
    stages = describe(settings.plan, settings.baseline)['stages']
    return ', '.join(f'{stage["frames"]}x{stage["lq_size"]}' for stage in stages)

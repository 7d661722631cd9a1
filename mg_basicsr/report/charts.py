"""Charts of experiments: scores against hours and iterations, throughput, and time per stage."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import matplotlib

matplotlib.use('Agg')

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mg_basicsr.report.experiment import Experiment, metrics_of
from mg_basicsr.report.history import scores_of
from mg_basicsr.report.plan_plot import ACCENT, GREY, INK, SECOND

COLOURS = (INK, SECOND, ACCENT, '#5b8c3a', '#8a5a9e', '#b08d1e')  # of experiments, in order
UNITS = (('hours', 3600.0), ('minutes', 60.0), ('seconds', 1.0))  # the first that the longest run lasts at least twice
SIZE = (5.2, 3.3)  # inches of a chart, so that its text is readable on a page of 360 pixels

Draw = Callable[[Axes], None]


def charts(experiments: Sequence[Experiment]) -> list[tuple[str, Draw]]:
    """Return the charts of experiments as (title, function that draws it).

    Args:
        experiments: At least one; the first has the first colour.
    """
    unit, seconds = unit_of(experiments)
    found: list[tuple[str, Draw]] = []
    for dataset, metric in metrics_of(experiments):
        for by, scale in ((unit, seconds), ('iterations', 0.0)):
            found.append((f'{metric} on {dataset} against {by}', _scores(experiments, dataset, metric, by, scale)))
    found.append(('Throughput', _throughput(experiments, unit, seconds)))
    found.append(('Time of training per stage', _stages(experiments, unit, seconds)))
    return found


def unit_of(experiments: Sequence[Experiment]) -> tuple[str, float]:
    """Return the unit of time that suits experiments, and its seconds."""
    longest = max((experiment.history.seconds for experiment in experiments), default=0.0)
    return next((unit for unit in UNITS if longest >= 2 * unit[1]), UNITS[-1])


def colour_of(number: int) -> str:
    """Return the colour of the experiment with a 0-based number."""
    return COLOURS[number % len(COLOURS)]


def label_of(number: int, experiment: Experiment) -> str:
    """Return the name of an experiment in charts, with its number; `$` in it is shown as `$`.

    Args:
        number: Its 0-based number.
        experiment: The experiment.
    """
    name = experiment.name if len(experiment.name) <= 32 else f'{experiment.name[:31]}…'
    return f'{number + 1}: {name}'.replace('$', r'\$')


def as_svg(draw: Draw, names: str) -> str:
    """Return one chart as an SVG element for a page: its colours are CSS variables, so that a page can be dark.

    Args:
        draw: Draws the chart.
        names: Prefix of the ids in it, by which charts of one page stay apart.
    """
    stream = io.StringIO()
    with matplotlib.rc_context({'svg.fonttype': 'none', 'svg.hashsalt': names, 'font.size': 12}):
        figure, axis = plt.subplots(figsize=SIZE, layout='constrained')
        try:
            draw(axis)
            figure.patch.set_alpha(0)
            axis.patch.set_alpha(0)
            figure.savefig(stream, format='svg', metadata={'Date': None, 'Creator': None})
        finally:
            plt.close(figure)
    text = stream.getvalue()
    text = text[text.index('<svg') :]
    text = re.sub(r' (width|height)="[\d.]+pt"', '', text, count=2)
    text = re.sub(r'\b(id="|xlink:href="#|url\(#)', rf'\1{names}-', text)
    text = re.sub(r'<metadata>.*?</metadata>', '', text, flags=re.DOTALL)
    for number, colour in enumerate(COLOURS):
        text = text.replace(colour, f'var(--line-{number})')
    return re.sub(r'(?<=: )#(?:000000|262626)\b', 'var(--text)', text).replace(GREY, 'var(--grid)')


def save_charts(experiments: Sequence[Experiment], path: Path) -> None:
    """Write all charts as one picture.

    Args:
        experiments: At least one.
        path: The picture; PNG, SVG, or what its ending says.

    Raises:
        OSError: the path cannot be written.
        ValueError: its ending is not that of a picture format.
    """
    drawn = charts(experiments)
    rows = -(-len(drawn) // 2)
    figure: Figure
    figure, axes = plt.subplots(
        rows, 2, figsize=(2 * SIZE[0], rows * SIZE[1] + 0.3), layout='constrained', squeeze=False
    )
    try:
        for axis, (title, draw) in zip(axes.flat, drawn, strict=False):
            draw(axis)
            axis.set_title(title.replace('$', r'\$'), fontsize='medium')
        for axis in axes.flat[len(drawn) :]:
            axis.remove()
        figure.savefig(path, dpi=130, format=path.suffix[1:] or 'png')
    finally:
        plt.close(figure)


def _scores(experiments: Sequence[Experiment], dataset: str, metric: str, by: str, unit: float) -> Draw:
    def draw(axis: Axes) -> None:
        for number, experiment in enumerate(experiments):
            scores = scores_of(experiment.history, dataset, metric)
            places = [score.seconds / unit if unit else score.iteration for score in scores]
            values = [score.value for score in scores]
            label, colour = label_of(number, experiment), colour_of(number)
            axis.plot(places, values, color=colour, marker='o', markersize=3.5, linewidth=1.8, label=label)
        _finish(axis, by, metric.replace('$', r'\$') + (' (dB)' if metric == 'psnr' else ''))
        axis.legend(loc='lower right', frameon=False, fontsize='small')

    return draw


def _throughput(experiments: Sequence[Experiment], unit: str, seconds: float) -> Draw:
    def draw(axis: Axes) -> None:
        for number, experiment in enumerate(experiments):
            points = experiment.history.points
            places, rates = [], []
            for before, point in pairwise(points):
                took = point.seconds - before.seconds
                if took > 0:
                    places.append(point.seconds / seconds)
                    rates.append((point.iteration - before.iteration) / took)
            axis.plot(places, rates, color=colour_of(number), linewidth=1.4, label=label_of(number, experiment))
        _finish(axis, unit, 'iterations per second')
        axis.set_ylim(0, None)
        axis.legend(loc='upper right', frameon=False, fontsize='small')

    return draw


def _stages(experiments: Sequence[Experiment], unit: str, seconds: float) -> Draw:
    def draw(axis: Axes) -> None:
        for number, experiment in enumerate(experiments):
            start = 0.0
            for stage, took in experiment.stage_seconds.items():
                width = took / seconds
                axis.barh(
                    number, width, left=start, height=0.6, color=colour_of(number), alpha=0.35 + 0.3 * (stage % 2)
                )
                if len(experiment.stage_seconds) > 1:
                    axis.text(start + width / 2, number, str(stage), ha='center', va='center', fontsize='x-small')
                start += width
        axis.set_yticks(range(len(experiments)), [str(number + 1) for number in range(len(experiments))])
        axis.set_ylim(len(experiments) - 0.4, -0.6)
        _finish(axis, unit, 'experiment')

    return draw


def _finish(axis: Axes, x: str, y: str) -> None:
    axis.set_xlabel(x)
    axis.set_ylabel(y)
    axis.set_xlim(0, None)
    if x == 'iterations':
        axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axis.xaxis.set_major_formatter(lambda value, _: f'{value:,.0f}')
    axis.grid(color=GREY, alpha=0.25, linewidth=0.6)
    axis.spines[['top', 'right']].set_visible(False)

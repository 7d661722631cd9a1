"""A picture of a plan: shapes, work and rate over the iterations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib

matplotlib.use('Agg')

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from mg_basicsr.schedule.baseline import Baseline
from mg_basicsr.schedule.describe import cost
from mg_basicsr.schedule.plan import Plan, Stage

INK, ACCENT, SECOND, GREY = '#20303c', '#0b6e99', '#c4532d', '#9aa5ad'
POINTS = 2000  # iterations at which curves are read; stage borders are added
HEADROOM = 1.35  # room above the highest step for its label


def plot_plan(plan: Plan, base: Baseline, path: Path) -> None:
    """Draws crop size, clip length, cost of a step, and learning rate above one another, and writes a PNG.

    Raises:
        OSError: the path cannot be written.
        ValueError: its ending is not that of a kind of picture.
    """
    figure, axes = plt.subplots(4, 1, figsize=(9, 8), sharex=True, height_ratios=[3, 3, 4, 4], layout='constrained')
    _levels(axes[0], plan, 'LQ crop\n(pixels)', SECOND, lambda stage: stage.shape.size // base.scale)
    _levels(axes[1], plan, 'frames', SECOND, lambda stage: stage.shape.frames)
    _levels(axes[2], plan, 'work of a step\n(baseline = 1)', ACCENT, lambda s: s.shape.pixels / base.shape.pixels)
    _rates(axes[3], plan, base)

    for axis in axes:
        for stage in plan.stages[1:]:
            axis.axvline(stage.start, color=GREY, linewidth=0.6, alpha=0.6, zorder=0)
        axis.spines[['top', 'right']].set_visible(False)
        axis.set_xlim(0, plan.total_iter)
    axes[-1].set_xlabel('iteration')
    axes[-1].xaxis.set_major_formatter(lambda value, _: f'{value:,.0f}')
    relative = cost(plan, base)
    figure.suptitle(
        f'{plan.total_iter:,} iterations, {plan.stages[-1].shape.clips} clips per step: '
        f"{relative:.2f} of the baseline's work, ideal speed-up {1 / relative:.2f}x",
        color=INK,
        fontsize='medium',
    )
    figure.align_ylabels(axes)
    try:
        figure.savefig(path, dpi=130, format=path.suffix[1:] or 'png')  # else a bare name would get an ending
    finally:
        plt.close(figure)


def _levels(axis: Axes, plan: Plan, label: str, color: str, value: Callable[[Stage], float]) -> None:
    """One step per stage, its value above it wherever that changes."""
    values = [value(stage) for stage in plan.stages]
    edges = [0, *(stage.stop for stage in plan.stages)]
    axis.stairs(values, edges, fill=True, color=color, alpha=0.2)
    axis.stairs(values, edges, color=color, linewidth=1.8, baseline=None)
    for start, height, before in zip(edges, values, [None, *values], strict=False):
        if height != before:
            text = f'{height:.2f}' if isinstance(height, float) else str(height)
            axis.annotate(text, (start, height), (4, 3), textcoords='offset points', color=color, fontsize='small')
    axis.set_ylabel(label)
    axis.set_ylim(0, max(values) * HEADROOM)


def _rates(axis: Axes, plan: Plan, base: Baseline) -> None:
    """The learning rate of a parameter group at the options file's rate."""
    borders = {i for stage in plan.stages for i in (stage.start, stage.stop - 1)}
    iterations = sorted({*np.linspace(0, plan.total_iter - 1, POINTS).astype(int).tolist(), *borders})
    axis.plot(iterations, [plan(i).rate(base.lr) for i in iterations], color=ACCENT)
    axis.set_ylabel('learning rate')
    axis.set_ylim(0, None)
    axis.yaxis.set_major_formatter(lambda value, _: f'{value:.1e}' if value else '0')

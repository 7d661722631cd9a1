"""A picture of a plan: shapes, work and rate over the iterations."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use('Agg')

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from mg_basicsr.schedule.baseline import Baseline
from mg_basicsr.schedule.describe import cost
from mg_basicsr.schedule.plan import Plan

INK, ACCENT, SECOND, GREY = '#20303c', '#0b6e99', '#c4532d', '#9aa5ad'
POINTS = 2000  # iterations at which curves are read; stage borders are added


def plot_plan(plan: Plan, base: Baseline, path: Path) -> None:
    """Draws crop size and clip length, cost of a step, and learning rate, above one another, and writes a PNG."""
    iterations = sorted(
        {*np.linspace(0, plan.total_iter - 1, POINTS).astype(int).tolist()}
        | {i for stage in plan.stages for i in (stage.start, stage.stop - 1)}
    )
    steps = [plan(i) for i in iterations]
    x = np.array(iterations) + 1
    figure, axes = plt.subplots(3, 1, figsize=(9, 7), sharex=True, height_ratios=[1.2, 1, 1], layout='constrained')

    _shapes(axes[0], x, [s.shape.size // base.scale for s in steps], [s.shape.frames for s in steps])
    work = np.array([s.shape.pixels / base.shape.pixels for s in steps])
    axes[1].fill_between(x, work, step='post', color=ACCENT, alpha=0.25, linewidth=0)
    axes[1].step(x, work, where='post', color=ACCENT)
    axes[1].axhline(1, color=GREY, linestyle=':', label="the baseline's step")
    axes[1].set_ylabel('work of a step\n(baseline = 1)')
    axes[1].set_ylim(0, None)
    axes[1].legend(frameon=False, loc='upper left')
    axes[2].plot(x, [s.rate(base.lr) for s in steps], color=ACCENT, label='learning rate')
    axes[2].set_ylabel('learning rate')
    axes[2].set_ylim(0, None)
    axes[2].set_xlabel('iteration')

    for axis in axes:
        for stage in plan.stages[1:]:
            axis.axvline(stage.start, color=GREY, linewidth=0.6, alpha=0.6)
        axis.spines[['top', 'right']].set_visible(False)
        axis.margins(x=0)
    axes[2].xaxis.set_major_formatter(lambda value, _: f'{value:,.0f}')
    axes[2].yaxis.set_major_formatter(lambda value, _: f'{value:.1e}' if value else '0')
    figure.suptitle(
        f'{plan.total_iter:,} iterations, {len(plan.stages)} stages, {plan.stages[-1].shape.clips} clips per step: '
        f'{cost(plan, base):.2f} of the baseline\'s arithmetic',
        color=INK,
    )
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _shapes(axis: Axes, x: np.ndarray, sizes: list[int], frames: list[int]) -> None:
    """LQ size on the left scale, frames on the right."""
    (line,) = axis.step(x, sizes, where='post', color=ACCENT, linewidth=2, label='LQ crop (pixels)')
    axis.set_ylabel('LQ crop (pixels)', color=ACCENT)
    axis.set_ylim(0, max(sizes) * 1.25)
    right = axis.twinx()
    (other,) = right.step(x, frames, where='post', color=SECOND, linewidth=1.5, label='frames')
    right.set_ylabel('frames', color=SECOND)
    right.set_ylim(0, max(frames) * 1.25)
    right.spines['top'].set_visible(False)
    axis.legend(handles=[line, other], frameon=False, ncols=2, loc='upper left')

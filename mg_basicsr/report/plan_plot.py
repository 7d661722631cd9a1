"""Plot of a plan: shapes, work and learning rate over the iterations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib

matplotlib.use('Agg')

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from mg_basicsr.schedule.baseline import Baseline
from mg_basicsr.schedule.describe import cost
from mg_basicsr.schedule.plan import Plan
from mg_basicsr.schedule.shape import BatchShape

INK, ACCENT, SECOND, GREY = '#20303c', '#0b6e99', '#c4532d', '#9aa5ad'
POINTS = 2000  # iterations at which curves are read; stage borders are added
HEADROOM = 1.35  # room above the highest step for its label
ROOM = 0.22  # height of a label, relative to the highest step
CHARACTER = 0.008  # width of a label's character, relative to the picture's
MANY_STEPS = 50  # ratio of the stages' rates above which the axis is logarithmic, to show the lower ones

Value = Callable[[BatchShape], float]


def plot_plan(plan: Plan, base: Baseline, path: Path) -> None:
    """Plot crop size, frames, clips, work of a step and learning rate, one panel each, and write a picture.

    Clips are left out where they never change, and frames for images. A short cycle has a line for each shape.

    Args:
        plan: The plan.
        base: The baseline, to which work is relative.
        path: The picture to write; a PNG, or what its ending says.

    Raises:
        OSError: the path cannot be written.
        ValueError: its ending is not that of a picture format.
    """
    panels: list[tuple[str, str, Value]] = [('LQ crop\n(pixels)', SECOND, lambda shape: shape.size // base.scale)]
    if base.frames > 1:
        panels.append(('frames', SECOND, lambda shape: shape.frames))
    clips = {shape.clips for shape in plan.shapes}
    if len(clips) > 1:
        panels.append(('clips\n(all ranks)', SECOND, lambda shape: shape.clips))
    panels.append(('work of a step\n(baseline = 1)', ACCENT, lambda shape: shape.pixels / base.shape.pixels))
    ratios = [3] * (len(panels) - 1) + [4, 4]
    size = (9, 0.57 * sum(ratios))
    figure, axes = plt.subplots(len(ratios), 1, figsize=size, sharex=True, height_ratios=ratios, layout='constrained')
    for axis, (label, color, value) in zip(axes, panels, strict=False):
        _levels(axis, plan, label, color, value)
    _rates(axes[-1], plan, base)

    for axis in axes:
        for stage in plan.stages[1:]:
            axis.axvline(stage.start, color=GREY, linewidth=0.6, alpha=0.6, zorder=0)
        axis.spines[['top', 'right']].set_visible(False)
    axes[-1].set_xlim(0, plan.total_iter)
    axes[-1].set_xlabel('iteration')
    axes[-1].xaxis.set_major_formatter(lambda value, _: f'{value:,.0f}')
    relative = cost(plan, base)
    batch = f'{min(clips)}' if len(clips) == 1 else f'{min(clips)} to {max(clips)}'
    figure.suptitle(
        f'{plan.total_iter:,} iterations instead of {base.total_iter:,}, {batch} clips per step: '
        f"{relative:.2f} of the baseline's work, ideal speed-up {1 / relative:.2f}x",
        color=INK,
        fontsize='medium',
    )
    figure.align_ylabels(axes)
    try:
        # without a format, matplotlib adds an ending to a bare name
        figure.savefig(path, dpi=130, format=path.suffix[1:] or 'png')
    finally:
        plt.close(figure)


def _levels(axis: Axes, plan: Plan, label: str, color: str, value: Value) -> None:
    """Draw a level per stage, or several with a short cycle, labelled wherever they change."""
    axis.set_xlim(0, plan.total_iter)
    values = [sorted({value(shape) for shape in stage.spec.shapes}) for stage in plan.stages]
    edges = [0, *(stage.stop for stage in plan.stages)]
    axis.stairs([levels[-1] for levels in values], edges, fill=True, color=color, alpha=0.2)
    for stage, levels in zip(plan.stages, values, strict=True):
        for height in levels:
            strong = height == value(stage.shape)
            axis.hlines(height, stage.start, stage.stop, color=color, linewidth=1.8 if strong else 0.9)
    for before, after, edge in zip(values, values[1:], edges[1:], strict=False):
        axis.vlines(edge, min(before[-1], after[-1]), max(before[-1], after[-1]), color=color, linewidth=0.9)
    highest = max(levels[-1] for levels in values)
    starts = [n for n, levels in enumerate(values) if n == 0 or levels != values[n - 1]]
    for first, stop in zip(starts, [*starts[1:], len(values)], strict=True):
        _label(axis, (edges[first], edges[stop]), values[first], highest, color)
    axis.set_ylabel(label)
    axis.set_ylim(0, highest * HEADROOM)


def _label(axis: Axes, span: tuple[int, int], levels: Sequence[float], highest: float, color: str) -> None:
    """Write each value above its line; values whose labels would overlap share one above the highest of them.

    Labels that are wider than their stages are left out.
    """
    groups: list[list[float]] = []
    for height in levels:
        if groups and height - groups[-1][-1] < ROOM * highest:
            groups[-1].append(height)
        else:
            groups.append([height])
    for group in groups:
        texts = [f'{height:.2f}' if isinstance(height, float) else str(height) for height in group]
        text = ', '.join(dict.fromkeys(texts))
        if len(text) * CHARACTER * axis.get_xlim()[1] < span[1] - span[0]:
            place = (span[0], group[-1])
            axis.annotate(text, place, (3, 2), textcoords='offset points', color=color, fontsize='x-small')


def _rates(axis: Axes, plan: Plan, base: Baseline) -> None:
    """Draw the learning rate of a parameter group at the options file's rate."""
    borders = {i for stage in plan.stages for i in (stage.start, stage.stop - 1)}
    iterations = sorted({*np.linspace(0, plan.total_iter - 1, POINTS).astype(int).tolist(), *borders})
    axis.plot(iterations, [plan(i).rate(base.lr) for i in iterations], color=ACCENT)
    axis.set_ylabel('learning rate')
    rates = [stage.spec.first_lr for stage in plan.stages]
    if max(rates) > MANY_STEPS * min(rates):
        axis.set_yscale('log')
        lowest = max(plan(plan.total_iter - 1).rate(base.lr), min(rates) / MANY_STEPS)
        axis.set_ylim(lowest / 2, 2 * max(rates))
    else:
        axis.set_ylim(0, None)
    axis.yaxis.set_major_formatter(lambda value, _: f'{value:.1e}' if value else '0')

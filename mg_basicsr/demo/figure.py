"""Figure of the demo: PSNR against time of several runs, and one part of a frame as restored by each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use('Agg')

import cv2
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from mg_basicsr.report.plan_plot import ACCENT, GREY, INK, SECOND

Image = NDArray[np.uint8]

COLOURS = (INK, SECOND, ACCENT, '#5b8c3a', '#8a5a9e')  # of the curves, in order
WIDTH = 10.5  # inches
UNITS = (('hours', 3600.0), ('minutes', 60.0), ('seconds', 1.0))  # the first that the longest run lasts at least twice


@dataclass(frozen=True, slots=True)
class Curve:
    """Validations of one run.

    Attributes:
        label: The run's name.
        seconds: Wall-clock time since the start of the training, one per validation, rising; the same number as scores.
        psnr: Scores in dB.
    """

    label: str
    seconds: Sequence[float]
    psnr: Sequence[float]


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture of a strip.

    Attributes:
        label: Text above it.
        image: uint8 (h, w, 3), RGB.
        psnr: PSNR against the ground truth in dB, if it has one.
    """

    label: str
    image: Image
    psnr: float | None = None


def make_strip(lq: Image, gt: Image, results: Mapping[str, Image], crop_size: int = 96) -> list[Panel]:
    """Cut LQ, bicubic upscaling, every result and GT to the square of the GT frame with most detail.

    The square depends on the GT frame alone, so that it favours no result. PSNR is that of the whole frame, in RGB.

    Args:
        lq: (h, w, 3) uint8, RGB.
        gt: (scale * h, scale * w, 3) uint8, RGB.
        results: Label -> frame of the size of `gt`.
        crop_size: Edge of the square in GT pixels; rounded down to a multiple of the scale.
    """
    scale = gt.shape[0] // lq.shape[0]
    edge = min(crop_size, *gt.shape[:2]) // scale * scale
    top, left = _most_detailed(gt, edge, step=scale)
    enlarged = {
        'bicubic': np.asarray(cv2.resize(lq, gt.shape[1::-1], interpolation=cv2.INTER_CUBIC), np.uint8),
        **results,
    }

    def cut(image: Image) -> Image:
        return image[top : top + edge, left : left + edge]

    part = lq[top // scale : (top + edge) // scale, left // scale : (left + edge) // scale]
    blocks = part.repeat(scale, axis=0).repeat(scale, axis=1)
    middle = [Panel(label, cut(image), psnr(image, gt)) for label, image in enlarged.items()]
    return [Panel('LQ', blocks), *middle, Panel('ground truth', cut(gt))]


def psnr(image: Image, gt: Image) -> float:
    """Return the peak signal-to-noise ratio of two images in RGB, in dB; infinite if they are equal.

    Args:
        image: uint8, of any shape.
        gt: uint8, of the same shape.
    """
    error = float(np.mean((image.astype(np.float64) - gt) ** 2))
    return 10 * float(np.log10(255**2 / error)) if error else float('inf')


def plot_demo(
    path: Path,
    curves: Sequence[Curve],
    strips: Sequence[Sequence[Panel]],
    bicubic_psnr: float | None = None,
) -> Path:
    """Draw the curves above the strips and write a PNG.

    Args:
        path: The PNG to write.
        curves: One per run, the baseline first; none for the strips alone.
        strips: One row of panels each, as `make_strip` makes them; none for the curves alone.
        bicubic_psnr: Score of bicubic upscaling on the same validation clips in dB: a horizontal line.

    Returns:
        The path.

    Raises:
        OSError: The path cannot be written.
        ValueError: Nothing to draw, or the strips differ in length.
    """
    columns = {len(strip) for strip in strips}
    if not curves and not strips:
        raise ValueError('neither curves nor strips to draw')
    if len(columns) > 1:
        raise ValueError(f'strips of different lengths: {sorted(columns)}')
    row = (WIDTH - 0.4) / max(columns, default=1) + 0.4
    heights = [3.9] * bool(curves) + [row * len(strips)] * bool(strips)
    figure = plt.figure(figsize=(WIDTH, sum(heights)), layout='constrained')
    parts = list(figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0])
    if curves:
        _draw_curves(parts[0].subplots(), curves, bicubic_psnr)
    if strips:
        _draw_strips(parts[-1], strips)
    try:
        figure.savefig(path, dpi=130)
    finally:
        plt.close(figure)
    return path


def _draw_curves(axis: Axes, curves: Sequence[Curve], bicubic_psnr: float | None) -> None:
    longest = max(curve.seconds[-1] for curve in curves)
    unit, seconds = next((entry for entry in UNITS if longest >= 2 * entry[1]), UNITS[-1])
    for number, curve in enumerate(curves):
        colour, times = COLOURS[number % len(COLOURS)], np.asarray(curve.seconds) / seconds
        label = f'{curve.label}: {curve.psnr[-1]:.2f} dB after {times[-1]:.1f} {unit}'
        axis.plot(times, curve.psnr, color=colour, linewidth=2, marker='o', markersize=4, label=label)
        axis.plot(times[-1], curve.psnr[-1], 'o', color=colour, markersize=9, clip_on=False, zorder=3)
        axis.axvline(times[-1], color=colour, linewidth=0.8, linestyle=':', zorder=0)
    if bicubic_psnr is not None:
        axis.axhline(bicubic_psnr, color=GREY, linewidth=1.5, linestyle='--')
        place: dict[str, Any] = {'xy': (0, bicubic_psnr), 'xycoords': axis.get_yaxis_transform(), 'xytext': (6, 4)}
        axis.annotate(f'bicubic: {bicubic_psnr:.2f} dB', **place, textcoords='offset points', color=INK)
    axis.set_xlim(0, longest / seconds * 1.03)
    axis.margins(y=0.08)
    axis.set_xlabel(f'wall-clock time ({unit})')
    axis.set_ylabel('validation PSNR (dB)')
    axis.yaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10]))  # labels of one decimal would round quarters
    axis.grid(color=GREY, alpha=0.25, linewidth=0.6)
    axis.spines[['top', 'right']].set_visible(False)
    axis.legend(loc='lower right', bbox_to_anchor=(1, 0.14), frameon=True, framealpha=0.95, edgecolor='none')


def _draw_strips(part: Figure | SubFigure, strips: Sequence[Sequence[Panel]]) -> None:
    axes = part.subplots(len(strips), len(strips[0]), squeeze=False)
    for number, (axis, panel) in enumerate(zip(axes.flat, (p for strip in strips for p in strip), strict=True)):
        axis.imshow(panel.image, interpolation='nearest')
        if number < len(strips[0]):  # the rows below have the same columns
            axis.set_title(panel.label, color=INK, fontsize='medium')
        axis.set_xlabel('' if panel.psnr is None else f'{panel.psnr:.2f} dB', color=INK)
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)


def _most_detailed(image: Image, edge: int, step: int) -> tuple[int, int]:
    """Return top and left of the square with the largest mean absolute Laplacian; multiples of `step`."""
    detail = np.abs(cv2.Laplacian(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.CV_32F))
    sums = cv2.integral(detail)
    inside = sums[edge:, edge:] - sums[:-edge, edge:] - sums[edge:, :-edge] + sums[:-edge, :-edge]
    grid = inside[::step, ::step]
    top, left = np.unravel_index(int(np.argmax(grid)), grid.shape)
    return int(top) * step, int(left) * step

"""Preset lin2022: Lin, Wang, Qi, Shan, "Accelerating the Training of Video Super-Resolution Models", AAAI 2023.

A spatial cycle of small to full crops; inside each of its stages a temporal cycle of short to full clips; the rate is
restarted at every stage. The number of clips stays the same, unless it is asked to grow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product

from mg_basicsr.schedule.baseline import Baseline
from mg_basicsr.schedule.lr import Cosine, HostCurve, batch_lr_scale
from mg_basicsr.schedule.plan import StageSpec, divide
from mg_basicsr.schedule.shape import BatchShape


@dataclass(frozen=True)
class ExtraStage:
    """One more stage above the baseline's shape: GT size in pixels, frames, length in iterations."""

    gt_size: int
    frames: int
    iters: int


@dataclass(frozen=True)
class Lin2022:
    """What the preset is made from, with every fraction resolved.

    Attributes:
        sizes: GT sizes in order, the last the baseline's.
        frames: Clip lengths in order, the last the baseline's.
        hierarchical: Space outermost, time inside; otherwise both grow together (`sizes`, `frames` equally long).
        clips: Clips per optimiser step of the full shape, all ranks together.
        total_iter: Iterations of all stages but `extra`, were all batches `clips`.
        lr_scaling: Rule (see `batch_lr_scale`) for the rate of a batch that is not the baseline's.
        growth: Smaller shapes get more clips, so many that clips x frames x size^2 does not grow, and the stage as many
            times fewer iterations.
        small_lr_max: Highest starting rate of stages below the baseline's size, absolute.
        host_schedule: Follow the file's own schedule instead of restarting the rate.
        extra: One more stage, which then takes the final cosine.
    """

    sizes: Sequence[int]
    frames: Sequence[int]
    hierarchical: bool
    clips: int
    total_iter: int
    lr_scaling: str = 'linear'
    growth: bool = False
    small_lr_max: float | None = None
    host_schedule: bool = False
    extra: ExtraStage | None = None


def lin2022(base: Baseline, knobs: Lin2022) -> list[StageSpec]:
    """The stages: p equal ones (the last takes the rest), plus `extra`; equal in samples where batches grow.

    Rates (method of the paper, equation 1 as its text reads): stages 1 .. p-1 follow a cosine over the whole run's
    length I_total, so they stay near the restarted rate (0.93 of it after a sixth of the run); the last follows a
    cosine over its own length down to the minimum.
    """
    pairs = product(knobs.sizes, knobs.frames) if knobs.hierarchical else zip(knobs.sizes, knobs.frames, strict=True)
    shapes = [_shape(base, knobs, frames, size) for size, frames in pairs]
    ungrown = list(divide(knobs.total_iter, len(shapes)))
    if knobs.extra:
        shapes.append(BatchShape(knobs.clips, knobs.extra.frames, knobs.extra.gt_size))
        ungrown.append(knobs.extra.iters)
    lengths = [iters * knobs.clips // shape.clips for iters, shape in zip(ungrown, shapes, strict=True)]

    specs: list[StageSpec] = []
    for n, (shape, iters) in enumerate(zip(shapes, lengths, strict=True)):
        last = n == len(shapes) - 1
        restart = Cosine(iters if last else sum(lengths))
        host = _host(base, knobs, shape, sum(lengths[:n]), sum(ungrown[:n]))
        curve = host if knobs.host_schedule else restart
        specs.append(StageSpec(iters, (shape,), _first_lr(base, knobs, shape), base.eta_min, curve))
    return specs


def _shape(base: Baseline, knobs: Lin2022, frames: int, size: int) -> BatchShape:
    """The stage's shape; with growth `clips` times floor(T * S^2 / (t * s^2))."""
    growth = base.frames * base.size**2 // (frames * size**2) if knobs.growth else 1
    return BatchShape(knobs.clips * growth, frames, size)


def _host(base: Baseline, knobs: Lin2022, shape: BatchShape, start: int, ungrown: int) -> HostCurve:
    """The file's own schedule for the stage that starts here, and would start at `ungrown` without growing batches."""
    stride = Fraction(shape.clips, base.clips)
    return HostCurve(base.host_curve, start, stride, ungrown * Fraction(knobs.clips, base.clips) - start * stride)


def _first_lr(base: Baseline, knobs: Lin2022, shape: BatchShape) -> float:
    """The stage's starting rate: the file's, scaled by the batch, capped for crops below the full size."""
    first = batch_lr_scale(shape.clips / base.clips, knobs.lr_scaling) * base.lr
    if knobs.small_lr_max is None or shape.size >= base.size:
        return first
    return min(first, knobs.small_lr_max)

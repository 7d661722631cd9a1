"""Preset progressive: progressive learning as in Zamir et al., "Restormer", CVPR 2022.

Three lists of equal length: crops grow, mini-batches shrink, the rate follows the file's own schedule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from mg_basicsr.schedule.baseline import Baseline
from mg_basicsr.schedule.lr import HostCurve
from mg_basicsr.schedule.plan import StageSpec, rounded
from mg_basicsr.schedule.shape import BatchShape

# Restormer's run: sizes relative to the largest, and the share of the iterations that each has.
RESTORMER_SIZES = tuple(Fraction(size, 384) for size in (128, 160, 192, 256, 320, 384))
RESTORMER_SHARES = tuple(Fraction(iters, 300) for iters in (92, 64, 48, 36, 36, 24))


@dataclass(frozen=True)
class Progressive:
    """The three lists, equally long.

    Attributes:
        sizes: GT sizes in pixels, the last the baseline's.
        clips: Clips per optimiser step, all ranks together.
        shares: Parts of the file's iterations, in proportion; they need not add up to them.
    """

    sizes: Sequence[int]
    clips: Sequence[int]
    shares: Sequence[int]


def progressive(base: Baseline, knobs: Progressive) -> list[StageSpec]:
    """The stages; together they have the file's iterations, at the file's own rates."""
    unit = Fraction(base.total_iter, sum(knobs.shares))
    lengths = rounded([unit * share for share in knobs.shares])
    specs: list[StageSpec] = []
    start = 0
    for iters, clips, size in zip(lengths, knobs.clips, knobs.sizes, strict=True):
        shape = BatchShape(clips, base.frames, size)
        specs.append(StageSpec(iters, (shape,), base.lr, base.eta_min, HostCurve(base.host_curve, start)))
        start += iters
    return specs

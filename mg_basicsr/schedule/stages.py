"""Preset stages: every stage written out. Whatever another preset plans can be printed in this form and pasted back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from mg_basicsr.schedule.baseline import Baseline
from mg_basicsr.schedule.lr import Constant, Cosine, Curve, HostCurve, Linear
from mg_basicsr.schedule.plan import Plan, StageSpec
from mg_basicsr.schedule.shape import BatchShape

CURVES = ('constant', 'linear', 'linear N', 'cosine', 'cosine N', 'host', 'host M')


@dataclass(frozen=True)
class ExplicitStage:
    """One entry of `multigrid.stages`.

    Attributes:
        iters: Length in iterations.
        frames: Frames as the network sees them.
        gt_size: GT crop edge in pixels.
        clips: Clips per optimiser step, all ranks together.
        first, last: Rate at the curve's start and the rate that it falls to, absolute.
        curve: `constant`; `linear` or `cosine` over the stage, or over N iterations (`cosine 75000`), of which the
            stage then shows the beginning; `host M`: the file's own schedule, read at M (4, or 3/2) times the run's
            iteration.
    """

    iters: int
    frames: int
    gt_size: int
    clips: int
    first: float
    last: float
    curve: str


def parse_curve(text: str, *, iters: int, start: int, host_curve: Curve) -> Curve:
    """A curve from its name.

    Raises:
        ValueError: not one of CURVES.
    """
    name, _, argument = text.strip().partition(' ')
    if name == 'constant' and not argument:
        return Constant()
    if name in ('linear', 'cosine') and re.fullmatch(r'|[1-9]\d{0,18}', argument):
        period = int(argument or iters)
        return Linear(period) if name == 'linear' else Cosine(period)
    if name == 'host' and re.fullmatch(r'|[1-9]\d{0,8}(/[1-9]\d{0,8})?', argument):
        return HostCurve(host_curve, start, Fraction(argument or 1))
    raise ValueError(text)


def stages(base: Baseline, entries: Sequence[ExplicitStage]) -> list[StageSpec]:
    """The entries as they stand: rates are not scaled by the batch and not warmed up any further."""
    specs: list[StageSpec] = []
    start = 0
    for entry in entries:
        shape = BatchShape(entry.clips, entry.frames, entry.gt_size)
        curve = parse_curve(entry.curve, iters=entry.iters, start=start, host_curve=base.host_curve)
        specs.append(StageSpec(entry.iters, (shape,), entry.first, entry.last, curve))
        start += entry.iters
    return specs


def explicit_entries(plan: Plan) -> list[dict[str, Any]]:
    """A plan as entries of `multigrid.stages` (without its warm-up, which stays a key of the block)."""
    return [
        {
            'iters': stage.iters,
            'frames': stage.shape.frames,
            'gt_size': stage.shape.size,
            'clips': stage.shape.clips,
            'lr': [stage.spec.first_lr, stage.spec.floor, str(stage.spec.curve)],
        }
        for stage in plan.stages
    ]

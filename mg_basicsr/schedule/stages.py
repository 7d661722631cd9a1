"""Preset stages: every stage written out. Whatever another preset plans can be printed in this form and pasted back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from mg_basicsr.schedule.baseline import Baseline
from mg_basicsr.schedule.lr import Constant, Cosine, Curve, HostCurve, Linear, StepDown
from mg_basicsr.schedule.plan import Plan, StageSpec
from mg_basicsr.schedule.shape import BatchShape

CURVES = ('constant', 'step N G', 'linear', 'linear N', 'cosine', 'cosine N', 'host', 'host M', 'host M from N')

_NUMBER = r'[1-9]\d{0,18}'
_RATIO = r'[1-9]\d{0,8}(?:/[1-9]\d{0,8})?'
_FRACTION = r'\d{1,19}(?:/[1-9]\d{0,8})?'
_FACTOR = r'\d{1,19}(?:\.\d{0,24})?(?:e[+-]?\d{1,2})?'


@dataclass(frozen=True)
class ExplicitStage:
    """One entry of `multigrid.stages`.

    Attributes:
        iters: Length in iterations.
        shapes: Shapes taken in turn, one per iteration; usually one.
        first, last: Rate at the curve's start and the rate that it falls to, absolute.
        curve: `constant`; `step N G`: full for N iterations, then G (0.1) times as much; `linear` or `cosine` over the
            stage, or over N iterations (`cosine 75000`), of which the stage then shows the beginning; `host M`: the
            file's own schedule, read at M (4, or 3/2) times the run's iteration, or (`host 4 from 20000`) at M times
            the stage's, beginning at the file's iteration N.
    """

    iters: int
    shapes: tuple[BatchShape, ...]
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
    if name in ('linear', 'cosine') and re.fullmatch(f'|{_NUMBER}', argument):
        period = int(argument or iters)
        return Linear(period) if name == 'linear' else Cosine(period)
    if name == 'step' and (halves := re.fullmatch(rf'(\d{{1,19}}) ({_FACTOR})', argument)):
        return StepDown(int(halves[1]), float(halves[2]))
    if name == 'host' and re.fullmatch(f'|{_RATIO}', argument):
        return HostCurve(host_curve, start, Fraction(argument or 1))
    if name == 'host' and (places := re.fullmatch(f'({_RATIO}) from ({_FRACTION})', argument)):
        stride = Fraction(places[1])
        return HostCurve(host_curve, start, stride, Fraction(places[2]) - start * stride)
    raise ValueError(text)


def stages(base: Baseline, entries: Sequence[ExplicitStage]) -> list[StageSpec]:
    """The entries as they stand: rates are not scaled by the batch and not warmed up any further."""
    specs: list[StageSpec] = []
    start = 0
    for entry in entries:
        curve = parse_curve(entry.curve, iters=entry.iters, start=start, host_curve=base.host_curve)
        specs.append(StageSpec(entry.iters, entry.shapes, entry.first, entry.last, curve))
        start += entry.iters
    return specs


def explicit_entries(plan: Plan) -> list[dict[str, Any]]:
    """A plan as entries of `multigrid.stages` (without its warm-up, which stays a key of the block)."""
    return [
        {
            'iters': stage.iters,
            **_explicit_shapes(stage.spec.shapes),
            'lr': [stage.spec.first_lr, stage.spec.floor, str(stage.spec.curve)],
        }
        for stage in plan.stages
    ]


def _explicit_shapes(shapes: Sequence[BatchShape]) -> dict[str, Any]:
    if len(shapes) > 1:
        return {'short_cycle': [[shape.clips, shape.frames, shape.size] for shape in shapes]}
    (shape,) = shapes
    return {'frames': shape.frames, 'gt_size': shape.size, 'clips': shape.clips}

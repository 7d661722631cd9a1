"""Which parts of the file's own scheduler a plan is made from."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from mg_basicsr.config.baseline import UNKNOWN_CURVE
from mg_basicsr.config.block import Block
from mg_basicsr.config.presets.table import preset_of
from mg_basicsr.parsing.problems import Problems
from mg_basicsr.schedule.baseline import Baseline
from mg_basicsr.schedule.lr import CosineRestart, Curve, MultiStep


class SchedulerUse(NamedTuple):
    """Parts of the file's scheduler that a plan depends on.

    Attributes:
        curve: Its rates, iteration by iteration (`lr_schedule: host`), or its steps (wu2020).
        floor: Its lowest rate, `eta_min`.
    """

    curve: bool
    floor: bool


def scheduler_use(block: Block, base: Baseline) -> SchedulerUse:
    """Return what a plan would change with: the preset is asked again with another curve, and another lowest rate.

    So it holds for presets of other packages too.

    Args:
        block: The block; it makes a plan without problems.
        base: The run that the file describes.
    """
    specs = preset_of(block).specs(block, base, Problems())

    def differ(other: Baseline) -> bool:
        return preset_of(block).specs(block, other, Problems()) != specs

    known = base.host_curve is not UNKNOWN_CURVE
    return SchedulerUse(
        known and differ(replace(base, host_curve=_other(base.host_curve))),
        differ(replace(base, eta_min=(base.eta_min + base.lr) / 2)),
    )


def _other(curve: Curve) -> Curve:
    """Return another curve of the same kind, which a preset reads in the same way."""
    if isinstance(curve, MultiStep):
        return replace(curve, milestones=(1,), gamma=curve.gamma / 2)
    assert isinstance(curve, CosineRestart)
    return replace(curve, periods=tuple(period + 1 for period in curve.periods))

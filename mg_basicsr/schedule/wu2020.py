"""Preset wu2020: Wu, Girshick, He, Feichtenhofer, Krähenbühl, "A Multigrid Method for Efficiently Training Video
Models", CVPR 2020.

Clips x frames x size^2 stays that of the baseline: smaller shapes get more clips. A long cycle of shapes is gone
through once per learning-rate step; inside it a short cycle changes the crop size at every iteration. The last step,
fine-tuning, stays at the full shape. The rate is linear in the long cycle's batch and blind to the short one's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from mg_basicsr.schedule.baseline import Baseline
from mg_basicsr.schedule.lr import Constant, Curve, StepDown
from mg_basicsr.schedule.plan import StageSpec, rounded
from mg_basicsr.schedule.shape import BatchShape

# Learning-rate steps of the paper's Kinetics-400 run, as parts of the run: epochs 94, 154 and 196 of 239.
K400_STEPS = (Fraction(94, 239), Fraction(154, 239), Fraction(196, 239))
K400_GAMMA = 0.1


@dataclass(frozen=True)
class LrStep:
    """A learning-rate step of the file: its first iteration in the file's own count, and its factor on the rate."""

    start: int
    factor: float


@dataclass(frozen=True)
class Wu2020:
    """What the preset is made from, with every fraction resolved.

    Attributes:
        long_cycle: (frames, GT size) in order, without equal neighbours; the last is the baseline's.
        short_cycle: GT sizes that come before the long shape, in turn; empty: off.
        steps: Learning-rate steps in order, the first at 0; at least two if there is fine-tuning.
        clips: Clips per optimiser step of the full shape, all ranks together.
        lr_scale: Factor on the rate of `clips` being other than the baseline's.
        epoch_factor: Samples of the run, relative to the baseline's.
        finetune: The last step stays at the full shape.
        small_lr_max: Highest rate of stages whose long shape is below the full size, absolute.
    """

    long_cycle: Sequence[tuple[int, int]]
    short_cycle: Sequence[int]
    steps: Sequence[LrStep]
    clips: int
    lr_scale: float = 1.0
    epoch_factor: Fraction = Fraction(3, 2)
    finetune: bool = True
    small_lr_max: float | None = None


def wu2020(base: Baseline, knobs: Wu2020) -> list[StageSpec]:
    """The stages: one per long shape in each learning-rate step, and one for fine-tuning.

    With the file's I iterations and its steps s_0 = 0 < s_1 < ... < s_last, and a_l the mean batch of long shape l over
    its short cycle, relative to the full shape's:

    - every shape of step k gets x * (s_{k+1} - s_k) / sum(a) iterations: the step's samples are x times the file's;
    - fine-tuning gets x * (I - s_last) / saving, with saving = sum(a) / (number of long shapes), the factor by which
      the other steps have fewer iterations than in the file;
    - x makes the samples epoch_factor times the file's. A batch m times larger divides all lengths by m.

    Fine-tuning's first half keeps the rate of the step before, its second half has its own.
    """
    cycle = [_in_turn(base, knobs, frames, size) for frames, size in knobs.long_cycle]
    growth = [Fraction(sum(shape.clips for shape in shapes), len(shapes) * knobs.clips) for shapes in cycle]
    ends = [step.start for step in knobs.steps[1:]] + [base.total_iter]
    spans = [end - step.start for step, end in zip(knobs.steps, ends, strict=True)]
    cycled = spans[:-1] if knobs.finetune else spans
    whole = sum(growth, Fraction())
    tuning = (base.total_iter - sum(cycled)) * len(cycle) / whole
    x = knobs.epoch_factor * base.total_iter / (sum(cycled) + tuning * growth[-1])
    unit = x * base.clips / knobs.clips

    each = [unit * span / whole for span in cycled for _ in cycle]
    lengths = rounded([*each, unit * tuning] if knobs.finetune else each)
    stages = [(shapes, step.factor) for step, _ in zip(knobs.steps, cycled, strict=False) for shapes in cycle]
    specs = [
        _spec(base, knobs, iters, shapes, factor, Constant())
        for iters, (shapes, factor) in zip(lengths, stages, strict=False)
    ]
    if knobs.finetune:
        before, own = knobs.steps[-2].factor, knobs.steps[-1].factor
        halves = StepDown(lengths[-1] // 2, own / before)
        specs.append(_spec(base, knobs, lengths[-1], cycle[-1], before, halves))
    return specs


def _in_turn(base: Baseline, knobs: Wu2020, frames: int, size: int) -> tuple[BatchShape, ...]:
    """The shapes of a long shape's short cycle, itself the last; one alone where they are all the same.

    b = round(T * S^2 / (t * s^2)) * B for the long shape, times round((s_long / s_short)^2) for a short one: whole
    multiples of B, so that ranks which divide B divide them all. Ties are rounded to even, as in the official code.
    """
    long = knobs.clips * round(Fraction(base.frames * base.size**2, frames * size**2))
    sizes = [*(min(short, size) for short in knobs.short_cycle), size]
    shapes = tuple(BatchShape(long * round(Fraction(size**2, short**2)), frames, short) for short in sizes)
    return shapes if len(set(shapes)) > 1 else shapes[-1:]


def _spec(
    base: Baseline, knobs: Wu2020, iters: int, shapes: tuple[BatchShape, ...], factor: float, curve: Curve
) -> StageSpec:
    """A stage at eta * factor * (its long batch / the full shape's): the curve is all of its own, down to 0."""
    long = shapes[-1]
    first = base.lr * knobs.lr_scale * factor * (long.clips // knobs.clips)
    if knobs.small_lr_max is not None and long.size < base.size:
        first = min(first, knobs.small_lr_max)
    return StageSpec(iters, shapes, first, 0.0, curve)

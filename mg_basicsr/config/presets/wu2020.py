"""Preset wu2020: Wu et al., "A Multigrid Method for Efficiently Training Video Models", CVPR 2020.

By Wu, Girshick, He, Feichtenhofer and Krähenbühl.

Clips x frames x size^2 stays that of the baseline: smaller shapes get more clips. A long cycle of shapes runs once per
learning-rate step; inside it a short cycle changes the crop size at every iteration. The last step, fine-tuning, stays
at the full shape. The rate is linear in the long cycle's batch, and does not depend on the short cycle's.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import sqrt
from typing import Any, ClassVar, NamedTuple

from mg_basicsr.config.keys import COUNTS, FRACTIONS, key, section_key, section_schema
from mg_basicsr.config.presets.cycles import (
    CycleBlock,
    CyclePreset,
    frames_asked,
    planned_clips,
    planned_frames,
    planned_size,
)
from mg_basicsr.parsing.problems import Problems, read_section, reads
from mg_basicsr.parsing.values import (
    NUMBER_TEXT,
    accepts,
    any_of,
    boolean,
    choice,
    fraction_or_count,
    list_of,
    or_off,
    pair_of,
    positive,
    schema_of,
)
from mg_basicsr.schedule.baseline import Baseline
from mg_basicsr.schedule.grid import Grid
from mg_basicsr.schedule.lr import Constant, Curve, MultiStep, StepDown, batch_lr_scale
from mg_basicsr.schedule.plan import StageSpec, rounded
from mg_basicsr.schedule.shape import BatchShape, distinct, exact_fraction_of

# (time, size) of the paper in order; for a fixed number of frames the time is always 1.
LONG_SHAPES: tuple[tuple[float, float], ...] = ((0.25, sqrt(0.5)), (0.5, sqrt(0.5)), (0.5, 1.0), (1.0, 1.0))

# Learning-rate steps of the paper's Kinetics-400 run, as parts of the run: epochs 94, 154 and 196 of 239.
K400_STEPS = (Fraction(94, 239), Fraction(154, 239), Fraction(196, 239))
K400_GAMMA = 0.1

SHORT_CYCLE = or_off(FRACTIONS, 'a list of sizes such as [0.5, 0.7071], fractions or GT pixels, or false')
LONG_CYCLE = or_off(
    list_of(pair_of(fraction_or_count, ''), ''),
    'a list of [time, size] such as [[0.25, 0.7071], [1.0, 1.0]], fractions or whole numbers above 1, or false',
)


class LrSteps(NamedTuple):
    """Learning-rate steps as written.

    Attributes:
        milestones: Iterations of the file at which the rate is multiplied by gamma.
        gamma: The factor.
    """

    milestones: tuple[int, ...]
    gamma: float = 0.1


STEP_KEYS = {'milestones': reads(COUNTS), 'gamma': reads(positive)}


@accepts(any_of(section_schema(STEP_KEYS, ['milestones'], LrSteps), schema_of(COUNTS)))
def _steps_key(path: str, value: Any, problems: Problems) -> LrSteps | None:
    """Read `{milestones, gamma}`, or only the list of milestones."""
    section = {'milestones': value} if isinstance(value, list) else value
    values = read_section(path, section, STEP_KEYS, ['milestones'], problems)
    return None if values is None else LrSteps(**values)


@accepts(any_of({'type': 'number', 'exclusiveMinimum': 0, 'maximum': 1000}, {'type': 'string', 'pattern': NUMBER_TEXT}))
def _epoch_factor(value: Any) -> Fraction:
    """Parse the number of samples of the run relative to the baseline's.

    Raises:
        ValueError: the value is not a number > 0, or more than 1000.
    """
    factor = positive(value)
    if factor > 1000:
        raise ValueError('a number > 0, at most 1000')
    return Fraction(str(factor))  # the decimal number that was written: 1.1 is 11/10, not the nearest float


@dataclass(frozen=True, kw_only=True)
class Wu2020Block(CycleBlock):
    """Keys of the two cycles and of the learning-rate steps.

    Attributes:
        long_cycle: (time, size) of the shapes of a learning-rate step in order: fractions, or frames and GT pixels.
        short_cycle: Sizes of successive iterations before the long shape's own; empty for no short cycle.
        epoch_factor: Samples of the run, relative to the baseline's.
        finetune: Whether the last learning-rate step is one stage at the full shape.
        lr_steps: Learning-rate steps.
        lr_schedule: steps; there is no other.
        nearest: True, as in the official code.
    """

    nearest: ClassVar[bool] = True

    long_cycle: tuple[tuple[float | int, float | int], ...] | None = key(LONG_CYCLE, None)
    short_cycle: tuple[float | int, ...] = key(SHORT_CYCLE, (0.5, sqrt(0.5)))
    epoch_factor: Fraction = key(_epoch_factor, Fraction(3, 2))  # noqa: RUF009
    finetune: bool = key(boolean, True)
    lr_steps: LrSteps | None = section_key(_steps_key, None)  # noqa: RUF009
    lr_schedule: str = key(choice('steps'), 'steps')


class Wu2020(CyclePreset[Wu2020Block]):
    """Preset whose shapes change in a long and in a short cycle, at constant work per step."""

    name = 'wu2020'
    summary = 'long and short cycles of constant work'
    block = Wu2020Block

    def specs(self, block: Wu2020Block, base: Baseline, problems: Problems) -> list[StageSpec]:
        """Return the stages of a block; see `Preset.specs`."""
        clips = planned_clips(block, base, problems)
        long = _long_cycle(block, base, problems)
        short = [_short_size(size, block, base, problems) for size in block.short_cycle]
        steps = _lr_steps(block, base, problems)
        cycles = Cycles(
            long=long,
            short=short,
            steps=steps,
            clips=clips,
            lr_scale=batch_lr_scale(clips / base.clips, block.lr_scaling),
            epoch_factor=block.epoch_factor,
            finetune=block.finetune and len(steps) > 1,
            small_lr_max=block.small_lr_max,
        )
        return wu2020_stages(base, cycles)

    def grid(self, base: Baseline) -> Grid:
        """Return the paper's grid: small shapes span as much as the full one. See `Preset.grid`.

        The spatial grid needs a known degradation, which may be recorded in the store and is checked later.
        """
        return Grid(base.frames, base.size, temporal=not base.fixed_frames, spatial=True)


PRESET = Wu2020()


@dataclass(frozen=True)
class LrStep:
    """Learning-rate step of the file.

    Attributes:
        start: First iteration, in the count of the file.
        factor: Factor on the file's rate.
    """

    start: int
    factor: float


class ShortSize(NamedTuple):
    """Size of the short cycle.

    Attributes:
        size: GT pixels, rounded to a size that networks accept.
        exact: GT pixels as asked for.
    """

    size: int
    exact: Fraction


@dataclass(frozen=True)
class Cycles:
    """Cycles of a block, with every fraction resolved.

    Attributes:
        long: (frames, GT size) in order, without equal neighbours; the last is the baseline's.
        short: Sizes before the long shape, in turn; empty for no short cycle.
        steps: Learning-rate steps in order, the first at 0; at least two if there is fine-tuning.
        clips: Clips per optimiser step of the full shape, all ranks together.
        lr_scale: Factor on the rate for `clips` other than the baseline's.
        epoch_factor: Samples of the run, relative to the baseline's.
        finetune: Whether the last step stays at the full shape.
        small_lr_max: Highest rate of stages whose long shape is below the full size, absolute.
    """

    long: Sequence[tuple[int, int]]
    short: Sequence[ShortSize]
    steps: Sequence[LrStep]
    clips: int
    lr_scale: float = 1.0
    epoch_factor: Fraction = Fraction(3, 2)
    finetune: bool = True
    small_lr_max: float | None = None


def wu2020_stages(base: Baseline, cycles: Cycles) -> list[StageSpec]:
    """Return the stages: one per long shape in each learning-rate step, and one for fine-tuning.

    With the file's I iterations and its steps s_0 = 0 < s_1 < ... < s_last, and a_l the mean batch of long shape l over
    its short cycle, relative to the full shape's:

    - shape l of step k gets x * (s_{k+1} - s_k) * a_l / sum(a) of the file's iterations in samples, that is equally
      many iterations as the others: the step's samples are x times the file's;
    - fine-tuning gets x * (I - s_last) / saving iterations, with saving = sum(a) / (number of long shapes), the factor
      by which the other steps have fewer iterations than in the file;
    - x makes the samples epoch_factor times the file's. A batch m times larger divides all lengths by m.

    The official code shares out the samples by a_l of batches that may differ by rounding from those that it draws
    (`_scheduled_batch`). Where they do, its samples are kept, and iterations are equal only approximately.

    Fine-tuning's first half keeps the rate of the step before, its second half has its own.

    >>> base = Baseline(8, 16, 224, 4, total_iter=1000, lr=0.1, eta_min=0, host_curve=Constant())
    >>> cycles = Cycles(long=[(8, 112), (16, 224)], short=[], steps=[LrStep(0, 1.0), LrStep(800, 0.1)], clips=8)
    >>> for spec in wu2020_stages(base, cycles):
    ...     print(spec.iters, *spec.shapes, spec.first_lr, spec.curve)
    158 BatchShape(clips=64, frames=8, size=112) 0.8 constant
    158 BatchShape(clips=8, frames=16, size=224) 0.1 constant
    79 BatchShape(clips=8, frames=16, size=224) 0.1 step 39 0.1

    Args:
        base: The run that the file describes.
        cycles: Shapes and steps.
    """
    shapes = [_in_turn(base, cycles, frames, size) for frames, size in cycles.long]
    growth = [Fraction(sum(shape.clips for shape in turn), len(turn) * cycles.clips) for turn in shapes]
    scheduled = [_scheduled_batch(base, cycles, turn) for turn in shapes]
    ends = [step.start for step in cycles.steps[1:]] + [base.total_iter]
    spans = [end - step.start for step, end in zip(cycles.steps, ends, strict=True)]
    cycled = spans[:-1] if cycles.finetune else spans
    whole = sum(scheduled, Fraction())
    tuning = (base.total_iter - sum(cycled)) * len(shapes) / whole
    x = cycles.epoch_factor * base.total_iter / (sum(cycled) + tuning * scheduled[-1])
    # iterations of the shapes for each of the file's that the schedule counts: their samples by the batches drawn
    units = [x * base.clips / cycles.clips * a / drawn for a, drawn in zip(scheduled, growth, strict=True)]

    each = [unit * span / whole for span in cycled for unit in units]
    lengths = rounded([*each, units[-1] * tuning] if cycles.finetune else each)
    stages = [(turn, step.factor) for step, _ in zip(cycles.steps, cycled, strict=False) for turn in shapes]
    specs = [
        _spec(base, cycles, iters, turn, factor, Constant())
        for iters, (turn, factor) in zip(lengths, stages, strict=False)
    ]
    if cycles.finetune:
        before, own = cycles.steps[-2].factor, cycles.steps[-1].factor
        halves = StepDown(lengths[-1] // 2, own / before)
        specs.append(_spec(base, cycles, lengths[-1], shapes[-1], before, halves))
    return specs


def _in_turn(base: Baseline, cycles: Cycles, frames: int, size: int) -> tuple[BatchShape, ...]:
    """Return the shapes of a long shape's short cycle, itself the last; only one if all are the same.

    b = round(T * S^2 / (t * s^2)) * B for the long shape, times round((s_long / s_short)^2) for a short one: whole
    multiples of B, so that ranks which divide B divide them all. Ties are rounded to even, as in the official code.
    """
    long = cycles.clips * round(Fraction(base.frames * base.size**2, frames * size**2))
    sizes = [*(min(short.size, size) for short in cycles.short), size]
    shapes = tuple(BatchShape(long * round(Fraction(size**2, short**2)), frames, short) for short in sizes)
    return shapes if len(set(shapes)) > 1 else shapes[-1:]


def _scheduled_batch(base: Baseline, cycles: Cycles, turn: tuple[BatchShape, ...]) -> Fraction:
    """Return the mean of round(T * S^2 / (t * s^2)) over a turn, by which the official schedule shares out samples.

    It takes the sizes of the short cycle before they are rounded to pixels (here: of the LQ crop). Where
    `lq_multiple` or `min_lq_size` changes one by more, the changed size counts.
    """
    sizes = [
        short.exact if shape.size == short.size and abs(short.exact - short.size) < base.scale else shape.size
        for shape, short in zip(turn[:-1], cycles.short, strict=False)  # a turn of equal shapes has only its last
    ]
    full = base.frames * base.size**2
    batches = [round(Fraction(full) / (turn[-1].frames * size**2)) for size in (*sizes, turn[-1].size)]
    return Fraction(sum(batches), len(batches))


def _spec(
    base: Baseline, cycles: Cycles, iters: int, shapes: tuple[BatchShape, ...], factor: float, curve: Curve
) -> StageSpec:
    """Return a stage at eta * factor * (its long batch / the full shape's); the curve falls to 0."""
    long = shapes[-1]
    first = base.lr * cycles.lr_scale * factor * (long.clips // cycles.clips)
    if cycles.small_lr_max is not None and long.size < base.size:
        first = min(first, cycles.small_lr_max)
    return StageSpec(iters, shapes, first, 0.0, curve)


def _short_size(value: float | int, block: Wu2020Block, base: Baseline, problems: Problems) -> ShortSize:
    size = planned_size('multigrid.short_cycle', value, block, base, problems)
    return ShortSize(size, Fraction(value) if isinstance(value, int) else exact_fraction_of(value, base.size))


def _long_cycle(block: Wu2020Block, base: Baseline, problems: Problems) -> list[tuple[int, int]]:
    """Return the (frames, GT size) of the long shapes, without equal neighbours, which rounding can produce."""
    asked: tuple[tuple[float | int, float | int], ...] = LONG_SHAPES if block.long_cycle is None else block.long_cycle
    if block.long_cycle is None and base.fixed_frames:
        asked = tuple((1.0, size) for _, size in LONG_SHAPES)
    shapes: list[tuple[int, int]] = []
    for n, (time, size) in enumerate(asked):
        path = f'multigrid.long_cycle[{n}]'
        if base.fixed_frames and frames_asked(time, block, base) != base.frames:
            problems.add(
                path,
                f'{time} of the frames, but this dataset gives {base.frames} frames and no other number',
                'allowed: 1.0, sliding windows and images have a fixed number of frames',
                f'set it to [1.0, {size}]',
            )
            time = 1.0
        frames = planned_frames(path, time, block, base, problems)
        shapes.append((frames, planned_size(path, size, block, base, problems)))
    full = (base.frames, base.size)
    if shapes and shapes[-1] != full:
        problems.add(
            'multigrid.long_cycle',
            f'the last entry gives {shapes[-1][0]} frames of {shapes[-1][1]} GT pixels',
            f'allowed: the last is the full shape, {base.frames} frames of {base.size}',
            'end the list with [1.0, 1.0]',
        )
    return distinct(shapes) or [full]


def _lr_steps(block: Wu2020Block, base: Baseline, problems: Problems) -> list[LrStep]:
    """Return the steps of the block, else those of the file's scheduler if it has steps, else the paper's.

    Steps of the file at or after its end, which it would never reach, are left out.
    """
    total = base.total_iter
    if block.lr_steps is not None:
        milestones = block.lr_steps.milestones
        if milestones[-1] >= total or any(after <= before for before, after in pairwise(milestones)):
            problems.add(
                'multigrid.lr_steps',
                f'{list(milestones)}',
                f'allowed: iterations of the file in ascending order, below train.total_iter {total}',
                'give them as for the run without the block',
            )
        curve = MultiStep(milestones, block.lr_steps.gamma)
    elif isinstance(base.host_curve, MultiStep):
        curve = base.host_curve
    else:
        curve = MultiStep(tuple(int(part * total) for part in K400_STEPS), K400_GAMMA)
    starts = sorted({0, *curve.milestones, *curve.restarts})
    steps = [LrStep(start, curve(start)) for start in starts[: bisect_left(starts, total)]]
    steps = [step for n, step in enumerate(steps) if n == 0 or step.factor != steps[n - 1].factor]
    if any(step.factor <= 0 for step in steps):
        problems.add(
            'train.scheduler',
            f'its rate falls to {min(step.factor for step in steps):g} times train.optim_g.lr',
            'allowed: steps to rates above 0',
            'give lr_steps, or other restart_weights or gamma',
        )
        return [LrStep(0, 1.0)]
    if block.finetune and len(steps) < 2:
        problems.add(
            'multigrid.finetune',
            f'true, but the rate has no step in {total} iterations',
            'needed: a learning-rate step, the last of which is the fine-tuning',
            'give lr_steps, or finetune: false',
        )
    return steps

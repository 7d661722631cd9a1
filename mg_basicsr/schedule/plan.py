"""Plan of a run: a pure function from an iteration to its mini-batch shape, learning rate and clips.

Nothing is counted or remembered, so a run resumes at iteration i by asking for it. A plan is made from stages:

>>> from mg_basicsr.schedule.lr import Cosine
>>> small, full = BatchShape(clips=8, frames=7, size=128), BatchShape(clips=8, frames=7, size=256)
>>> specs = [StageSpec(iters, (shape,), 2e-4, 0.0, Cosine(iters)) for iters, shape in ((300, small), (100, full))]
>>> budget = BatchShape(clips=4, frames=7, size=256).pixels
>>> plan = build_plan(specs, world_size=1, budget=budget, warmup_iter=20, base_lr=2e-4)
>>> plan.total_iter, plan.samples
(400, 3200)

Asked for an iteration, it gives the step: a pass of 4 clips of the full size fits the budget, so 8 clips take two.

>>> step = plan(300)
>>> step.stage.index, step.shape, step.batch.clips_per_rank, step.accumulate, step.position
(1, BatchShape(clips=8, frames=7, size=256), 4, 2, 2400)
>>> round(step.rate(2e-4), 6), round(plan(0).lr_factor, 6)
(0.0002, 0.05)

Iterations are 0-based here. A position is the number of clips drawn before a clip, by all ranks together.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import accumulate, pairwise
from math import isqrt

from mg_basicsr.errors import ConfigError, Problem
from mg_basicsr.schedule.lr import Curve, Rate, warmup_factor
from mg_basicsr.schedule.shape import BatchShape


@dataclass(frozen=True)
class StageSpec:
    """Stage as described by a preset, before it is placed in the run and divided among the ranks.

    Attributes:
        iters: Length in iterations.
        shapes: Shapes taken in turn, one per iteration (short cycle); usually one.
        first_lr: Starting rate, absolute, for a parameter group at the options file's rate, without warm-up.
        floor: Rate that the curve falls to, absolute.
        curve: Factor between the two (1: `first_lr`, 0: `floor`) as a function of the stage's iteration.
    """

    iters: int
    shapes: tuple[BatchShape, ...]
    first_lr: float
    floor: float
    curve: Curve


@dataclass(frozen=True)
class RankBatch:
    """Division of a shape among ranks: clips = clips_per_rank x accumulate x world size.

    Attributes:
        shape: The mini-batch of all ranks together.
        clips_per_rank: Clips of one forward pass on one rank.
        accumulate: Passes per optimiser step.
    """

    shape: BatchShape
    clips_per_rank: int
    accumulate: int


@dataclass(frozen=True)
class Stage:
    """Stage placed in a run.

    Attributes:
        index: 0-based number of the stage.
        start: First iteration, 0-based.
        first_position: Clips drawn before the stage.
        spec: The stage as its preset described it.
        batches: The spec's shapes, divided among the ranks.
    """

    index: int
    start: int
    first_position: int
    spec: StageSpec
    batches: tuple[RankBatch, ...]

    @property
    def iters(self) -> int:
        """Length in iterations."""
        return self.spec.iters

    @property
    def stop(self) -> int:
        """First iteration after the stage."""
        return self.start + self.spec.iters

    @property
    def shape(self) -> BatchShape:
        """Largest shape of the stage; the only one unless there is a short cycle."""
        return max(self.spec.shapes, key=lambda shape: shape.size)

    @property
    def batch(self) -> RankBatch:
        """Division of `shape` among ranks and passes."""
        return max(self.batches, key=lambda batch: batch.shape.size)

    def clips_before(self, k: int) -> int:
        """Return the clips drawn by all ranks in the first k iterations of the stage, 0 <= k <= iters."""
        rounds, rest = divmod(k, len(self.spec.shapes))
        clips = [shape.clips for shape in self.spec.shapes]
        return rounds * sum(clips) + sum(clips[:rest])


@dataclass(frozen=True)
class Step:
    """Shape, learning rate and clips of one iteration.

    Attributes:
        iteration: 0-based.
        stage: The stage that the iteration is in.
        batch: Its mini-batch, divided among ranks and passes.
        rate: Learning rate; call it with a parameter group's initial rate.
        lr_factor: Rate of a group at the options file's rate, relative to that rate; warm-up and scaling included.
        position: Position of the iteration's first clip.
    """

    iteration: int
    stage: Stage
    batch: RankBatch
    rate: Rate
    lr_factor: float
    position: int

    @property
    def shape(self) -> BatchShape:
        """Mini-batch of all ranks together."""
        return self.batch.shape

    @property
    def accumulate(self) -> int:
        """Forward passes per optimiser step."""
        return self.batch.accumulate


@dataclass(frozen=True)
class Plan:
    """Stages of a whole run. `plan(i)` is the step of the 0-based iteration i.

    Attributes:
        stages: In order, without gaps, from iteration 0.
        world_size: Number of ranks, >= 1.
        warmup_iter: Iterations of linear warm-up at the start of the run; 0 for none.
        base_lr: The options file's rate, to which factors are relative.
    """

    stages: tuple[Stage, ...]
    world_size: int
    warmup_iter: int
    base_lr: float

    @property
    def total_iter(self) -> int:
        """Length of the run in iterations."""
        return self.stages[-1].stop

    @property
    def samples(self) -> int:
        """Clips drawn by all ranks in the whole run."""
        return self.position(self.total_iter)

    @property
    def batches(self) -> tuple[RankBatch, ...]:
        """Every shape divided among the ranks, once, in the order in which the run meets them."""
        return tuple(dict.fromkeys(batch for stage in self.stages for batch in stage.batches))

    @property
    def shapes(self) -> tuple[BatchShape, ...]:
        """Every shape once, in the order in which the run meets them."""
        return tuple(dict.fromkeys(batch.shape for batch in self.batches))

    @cached_property  # a plan is asked several times per iteration, and a run may have dozens of stages
    def _starts(self) -> list[int]:
        return [stage.start for stage in self.stages]

    def stage_at(self, iteration: int) -> Stage:
        """Return the stage of an iteration, 0 <= iteration <= total_iter (at total_iter: the last)."""
        return self.stages[bisect_right(self._starts, iteration) - 1]

    def position(self, iteration: int) -> int:
        """Return the position of an iteration's first clip, 0 <= iteration <= total_iter."""
        stage = self.stage_at(iteration)
        return stage.first_position + stage.clips_before(iteration - stage.start)

    def __call__(self, iteration: int) -> Step:
        """Return the step of an iteration.

        Raises:
            IndexError: iteration < 0 or >= total_iter.
        """
        if not 0 <= iteration < self.total_iter:
            raise IndexError(f'iteration {iteration} is outside the plan of {self.total_iter} iterations')
        stage = self.stage_at(iteration)
        k = iteration - stage.start
        spec = stage.spec
        warmup = warmup_factor(iteration, self.warmup_iter)
        rate = Rate(warmup, spec.first_lr, self.base_lr, spec.floor, spec.curve(k))
        return Step(
            iteration=iteration,
            stage=stage,
            batch=stage.batches[k % len(stage.batches)],  # a short cycle starts again with each stage
            rate=rate,
            lr_factor=rate(self.base_lr) / self.base_lr,
            position=stage.first_position + stage.clips_before(k),
        )


def split_clips(shape: BatchShape, world_size: int, budget: int) -> RankBatch:
    """Divide a mini-batch among ranks and, where a rank's share is too large for one pass, among micro-batches.

    clips_per_rank is the largest divisor d of clips / world_size whose d * frames * size^2 is within `budget` GT pixels
    (at least 1: a single clip of a shape above the baseline's is allowed). A divisor, so that all passes are alike and
    their mean is the mean over the mini-batch.

    Args:
        shape: Mini-batch of all ranks together.
        world_size: Number of ranks, >= 1.
        budget: Most GT pixels (clips * frames * size^2) of one forward pass on one rank.

    Raises:
        ConfigError: clips is not a multiple of world_size.
    """
    share, rest = divmod(shape.clips, world_size)
    if rest or share == 0:
        raise ConfigError(
            Problem(
                'multigrid.batch_size',
                f'{shape.clips} clips cannot be divided among {world_size} ranks',
                f'allowed: a multiple of {world_size}',
                f'set batch_size and base_batch_size, or use a number of ranks that divides {shape.clips}',
            )
        )
    per_clip = shape.frames * shape.size**2
    clips = max(d for d in divisors(share) if d == 1 or d * per_clip <= budget)
    return RankBatch(shape, clips, share // clips)


def divisors(n: int) -> list[int]:
    """Return all positive divisors of n >= 1, ascending."""
    low = [d for d in range(1, isqrt(n) + 1) if n % d == 0]
    # each divisor up to the root has its partner above; the root itself, if whole, has none
    return low + [n // d for d in reversed(low) if d * d != n]


def build_plan(specs: Iterable[StageSpec], *, world_size: int, budget: int, warmup_iter: int, base_lr: float) -> Plan:
    """Place the stages one after another and divide their mini-batches among the ranks.

    Args:
        specs: Stages in order, at least one, each at least one iteration long.
        world_size: Number of ranks, >= 1.
        budget: Most GT pixels (clips * frames * size^2) of one forward pass on one rank.
        warmup_iter: Iterations of linear warm-up at the start of the run; 0 for none.
        base_lr: The options file's learning rate.

    Raises:
        ConfigError: a stage's clips cannot be divided among the ranks.
    """
    stages: list[Stage] = []
    start = position = 0
    for index, spec in enumerate(specs):
        batches = tuple(split_clips(shape, world_size, budget) for shape in spec.shapes)
        stage = Stage(index, start, position, spec, batches)
        stages.append(stage)
        start, position = stage.stop, position + stage.clips_before(spec.iters)
    return Plan(tuple(stages), world_size, warmup_iter, base_lr)


def divide(total: int, parts: int) -> Sequence[int]:
    """Divide iterations into stages of equal length; the last takes the remainder.

    Args:
        total: Iterations, >= 0.
        parts: Number of stages, >= 1.
    """
    each = total // parts
    return [each] * (parts - 1) + [total - each * (parts - 1)]


def rounded(lengths: Sequence[Fraction]) -> list[int]:
    """Round the lengths of consecutive stages to whole iterations, so that each *end* is rounded to the nearest."""
    # rounding the lengths themselves would let their errors add up, and the run would have another length
    ends = [0, *(round(end) for end in accumulate(lengths))]
    return [end - start for start, end in pairwise(ends)]

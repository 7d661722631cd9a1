"""The plan: from an iteration to what is done in it. A pure function; nothing is counted or remembered.

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
    """A stage as a preset describes it, before it is placed in the run and divided among the ranks.

    Attributes:
        iters: Length in iterations.
        shapes: Shapes taken in turn, one per iteration (short cycle); usually one.
        first_lr: Starting rate, absolute, for a parameter group at the options file's rate; warm-up is not in it.
        floor: Rate that the curve falls to, absolute.
        curve: Factor between the two over the stage's iterations.
    """

    iters: int
    shapes: tuple[BatchShape, ...]
    first_lr: float
    floor: float
    curve: Curve


@dataclass(frozen=True)
class RankBatch:
    """A shape divided among ranks: clips = clips_per_rank x accumulate x world size."""

    shape: BatchShape
    clips_per_rank: int
    accumulate: int


@dataclass(frozen=True)
class Stage:
    """A stage in its place.

    Attributes:
        index: 0-based number of the stage.
        start: First iteration, 0-based.
        first_position: Clips drawn before the stage.
        spec: What the preset asked for.
        batches: The spec's shapes, divided among the ranks.
    """

    index: int
    start: int
    first_position: int
    spec: StageSpec
    batches: tuple[RankBatch, ...]

    @property
    def iters(self) -> int:
        return self.spec.iters

    @property
    def stop(self) -> int:
        """First iteration after the stage."""
        return self.start + self.spec.iters

    @property
    def shape(self) -> BatchShape:
        """The stage's largest shape, which is its only one unless there is a short cycle."""
        return max(self.spec.shapes, key=lambda shape: shape.size)

    @property
    def batch(self) -> RankBatch:
        """The division of `shape`."""
        return max(self.batches, key=lambda batch: batch.shape.size)

    def clips_before(self, k: int) -> int:
        """Clips drawn in the stage's first k iterations."""
        rounds, rest = divmod(k, len(self.spec.shapes))
        clips = [shape.clips for shape in self.spec.shapes]
        return rounds * sum(clips) + sum(clips[:rest])


@dataclass(frozen=True)
class Step:
    """What one iteration does. `position` is that of its first clip; `rate` gives the rate of any parameter group."""

    iteration: int
    stage: Stage
    batch: RankBatch
    rate: Rate
    lr_factor: float
    position: int

    @property
    def shape(self) -> BatchShape:
        return self.batch.shape

    @property
    def accumulate(self) -> int:
        return self.batch.accumulate


@dataclass(frozen=True)
class Plan:
    """All stages of a run. `plan(i)` is the step of the 0-based iteration i.

    Attributes:
        stages: In order, without gaps, from iteration 0.
        world_size: Ranks.
        warmup_iter: Length of the linear warm-up at the run's start; 0 for none.
        base_lr: The options file's rate, which factors are relative to.
    """

    stages: tuple[Stage, ...]
    world_size: int
    warmup_iter: int
    base_lr: float

    @property
    def total_iter(self) -> int:
        return self.stages[-1].stop

    @property
    def samples(self) -> int:
        """Clips drawn in the whole run."""
        return self.position(self.total_iter)

    @cached_property
    def _starts(self) -> list[int]:
        return [stage.start for stage in self.stages]

    def stage_at(self, iteration: int) -> Stage:
        return self.stages[bisect_right(self._starts, iteration) - 1]

    def position(self, iteration: int) -> int:
        """Position of the first clip of an iteration (0 <= iteration <= total_iter)."""
        stage = self.stage_at(iteration)
        return stage.first_position + stage.clips_before(iteration - stage.start)

    def __call__(self, iteration: int) -> Step:
        """The step of an iteration.

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
            batch=stage.batches[k % len(stage.batches)],
            rate=rate,
            lr_factor=rate(self.base_lr) / self.base_lr,
            position=stage.first_position + stage.clips_before(k),
        )


def split_clips(shape: BatchShape, world_size: int, budget: int) -> RankBatch:
    """Divides a mini-batch among ranks and, where a rank's share is too large for one pass, among micro-batches.

    clips_per_rank is the largest divisor d of clips / world_size whose d * frames * size^2 is within `budget` GT pixels
    (at least 1: a single clip of a shape above the baseline's is allowed).

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
    """All positive divisors of n >= 1, ascending."""
    low = [d for d in range(1, isqrt(n) + 1) if n % d == 0]
    return low + [n // d for d in reversed(low) if d * d != n]


def build_plan(specs: Iterable[StageSpec], *, world_size: int, budget: int, warmup_iter: int, base_lr: float) -> Plan:
    """Places the stages one after another and divides their batches among `world_size` ranks.

    Args:
        specs: Stages in order, at least one, each at least one iteration long.
        world_size: Ranks, >= 1.
        budget: Most GT pixels (clips * frames * size^2) of one forward pass on one rank.
        warmup_iter: Length of the warm-up in iterations; 0 for none.
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
    """`total` iterations in `parts` equal stages; the last takes the rest."""
    each = total // parts
    return [each] * (parts - 1) + [total - each * (parts - 1)]


def rounded(lengths: Sequence[Fraction]) -> list[int]:
    """Whole iterations for stages of these lengths: each stage ends at the nearest to where it should, in order."""
    ends = [0, *(round(end) for end in accumulate(lengths))]
    return [end - start for start, end in pairwise(ends)]

"""Division of a stage's mini-batch into sub-batches, over which batch norm computes its statistics."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

from mg_basicsr.schedule.plan import Stage, divisors


@dataclass(frozen=True)
class SubBatches:
    """Sub-batches of one pass: several on each rank, or one shared by several ranks.

    Attributes:
        parts: Sub-batches in each rank's pass, >= 1; 1 where `ranks` > 1.
        ranks: Ranks that share a sub-batch, >= 1; 1 where `parts` > 1.
        clips: Clips of a sub-batch at the stage's largest shape.
    """

    parts: int
    ranks: int
    clips: int


def sub_batches(stage: Stage, size: int, world_size: int) -> SubBatches:
    """Return the sub-batches of a stage: as many as possible with at least `size` clips each.

    Follows Wu et al., "A Multigrid Method for Efficiently Training Video Models" (CVPR 2020), section on batch
    normalisation: their number follows the long cycle. It is the same for all shapes of a short cycle, and therefore
    divides the clips of each of them.

    Args:
        stage: The stage.
        size: Clips of a standard sub-batch, >= 1.
        world_size: Number of ranks. A sub-batch is shared by `ranks` neighbouring ranks, a divisor of this number.
    """
    clips = stage.batch.clips_per_rank
    if clips >= size:
        common = gcd(*(batch.clips_per_rank for batch in stage.batches))
        parts = max(n for n in divisors(common) if n * size <= clips)
        return SubBatches(parts, 1, clips // parts)
    # where all ranks together have fewer clips than a sub-batch, they share one
    ranks = next(n for n in divisors(world_size) if n * clips >= size or n == world_size)
    return SubBatches(1, ranks, ranks * clips)

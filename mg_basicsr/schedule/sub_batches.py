"""How a stage's mini-batch falls into the sub-batches that batch norm takes its statistics over."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

from mg_basicsr.schedule.plan import Stage, divisors


@dataclass(frozen=True)
class SubBatches:
    """Either a rank's clips of one pass are several sub-batches, or those of several ranks are one.

    Attributes:
        parts: Sub-batches in each rank's pass, >= 1.
        ranks: Ranks that share a sub-batch, >= 1; 1 where `parts` > 1.
        clips: Clips of a sub-batch when the stage's own shape is trained on.
    """

    parts: int
    ranks: int
    clips: int


def sub_batches(stage: Stage, size: int, world_size: int) -> SubBatches:
    """The sub-batches of a stage: as many as there are, none smaller than `size` clips where that can be had.

    Follows Wu et al., "A Multigrid Method for Efficiently Training Video Models" (CVPR 2020), section on batch
    normalisation: the number follows the long cycle. All shapes of a short cycle fall into the same number, which
    therefore divides the clips of each of them.

    Args:
        stage: The stage.
        size: Clips of a standard sub-batch, >= 1.
        world_size: Ranks of the run. Those that share a sub-batch are `ranks` neighbours, a divisor of this.
    """
    clips = stage.batch.clips_per_rank
    if clips >= size:
        common = gcd(*(batch.clips_per_rank for batch in stage.batches))
        parts = max(n for n in divisors(common) if n * size <= clips)
        return SubBatches(parts, 1, clips // parts)
    ranks = next(n for n in divisors(world_size) if n * clips >= size or n == world_size)
    return SubBatches(1, ranks, ranks * clips)

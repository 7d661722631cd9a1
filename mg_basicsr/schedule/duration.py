"""How long a run takes, from how long its iterations take."""

from __future__ import annotations

from collections.abc import Callable

from mg_basicsr.schedule.baseline import Baseline
from mg_basicsr.schedule.plan import Plan, RankBatch, Stage, divisors

Seconds = Callable[[RankBatch], float]


def seconds_per_iter(stage: Stage, seconds: Seconds) -> float:
    """Mean over the shapes that the stage takes in turn."""
    return sum(seconds(batch) for batch in stage.batches) / len(stage.batches)


def run_hours(plan: Plan, seconds: Seconds) -> float:
    """Hours of all iterations of a plan."""
    return sum(stage.iters * seconds_per_iter(stage, seconds) for stage in plan.stages) / 3600


def baseline_batch(base: Baseline, world_size: int, budget: int) -> RankBatch:
    """The baseline's mini-batch divided as those of the plan are; a rank's share is rounded up to whole clips.

    Args:
        base: The file without the block.
        world_size: Ranks.
        budget: Most GT pixels of one pass on one rank.
    """
    share = -(-base.clips // world_size)
    per_clip = base.frames * base.size**2
    clips = max(d for d in divisors(share) if d == 1 or d * per_clip <= budget)
    return RankBatch(base.shape, clips, share // clips)


def predicted_seconds(
    compute: float, loading: float, *, workers: int, cores: int, ranks: int = 1, threads: int = 1
) -> float:
    """Seconds of an iteration, of which a part may be waiting for data.

    Workers load ahead, each a mini-batch of its own, while the step before is computed. So an iteration takes as long
    as the slower of the two, and no less than the cores of the machine need for both together. Without workers one
    comes after the other.

    Args:
        compute: Seconds of the training step.
        loading: Seconds that one worker takes for a rank's clips of one iteration.
        workers: Workers of a rank.
        cores: CPU cores of the machine.
        ranks: Ranks on the machine.
        threads: Cores that a rank's training step keeps busy; with a GPU one.
    """
    if not workers:
        return compute + loading
    return max(compute, loading / workers, ranks * (threads * compute + loading) / cores)

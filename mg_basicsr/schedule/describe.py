"""Description of a plan in plain numbers, for `plan --json`, tables and plots."""

from __future__ import annotations

from typing import Any

from mg_basicsr.schedule.baseline import Baseline
from mg_basicsr.schedule.plan import Plan, Stage


def cost(plan: Plan, base: Baseline) -> float:
    """Return the cost of a plan's run relative to the baseline's: the quotient of their GT pixels.

    Args:
        plan: The plan; its pixels are the sum of clips * frames * size^2 over all iterations.
        base: The baseline.
    """
    pixels = 0
    for stage in plan.stages:
        # the end of the stage may cut the last round of a short cycle
        rounds, rest = divmod(stage.iters, len(stage.spec.shapes))
        each = [shape.pixels for shape in stage.spec.shapes]
        pixels += rounds * sum(each) + sum(each[:rest])
    return pixels / base.cost


def describe(plan: Plan, base: Baseline) -> dict[str, Any]:
    """Return the object that `plan --json` prints.

    Sizes are in pixels, `start` is 0-based, clips are those of all ranks; rates include warm-up and scaling.

    Args:
        plan: The plan.
        base: The baseline to which cost and `lr_factor` are relative.
    """
    relative = cost(plan, base)
    return {
        'total_iter': plan.total_iter,
        'world_size': plan.world_size,
        'stages': [_describe_stage(plan, base, stage) for stage in plan.stages],
        'samples': plan.samples,
        'cost': {'baseline': 1.0, 'multigrid': relative},
        'ideal_speedup': 1 / relative,
    }


def _describe_stage(plan: Plan, base: Baseline, stage: Stage) -> dict[str, Any]:
    first, last = plan(stage.start), plan(stage.stop - 1)
    short_cycle = [[shape.clips, shape.frames, shape.size] for shape in stage.spec.shapes]
    return {
        'index': stage.index,
        'start': stage.start,
        'iters': stage.iters,
        'clips': stage.shape.clips,
        'clips_per_rank': stage.batch.clips_per_rank,
        'accumulate': stage.batch.accumulate,
        'frames': stage.shape.frames,
        'gt_size': stage.shape.size,
        'lq_size': stage.shape.size // base.scale,
        'lr_factor': [first.lr_factor, last.lr_factor],
        'lr': [first.rate(base.lr), last.rate(base.lr)],
        'samples': stage.clips_before(stage.iters),
        'short_cycle': short_cycle if len(short_cycle) > 1 else None,
    }

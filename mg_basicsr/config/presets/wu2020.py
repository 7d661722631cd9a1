"""Resolves the block of preset wu2020: cycles become shapes, the file's learning-rate steps become stages."""

from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise

from mg_basicsr.config.block import LONG_SHAPES, Block
from mg_basicsr.config.presets.rounding import check_lengths, frames_asked, planned_clips, planned_frames, planned_size
from mg_basicsr.parsing.problems import Problems
from mg_basicsr.schedule.baseline import Baseline
from mg_basicsr.schedule.lr import MultiStep, batch_lr_scale
from mg_basicsr.schedule.plan import StageSpec
from mg_basicsr.schedule.shape import distinct
from mg_basicsr.schedule.wu2020 import K400_GAMMA, K400_STEPS, LrStep, Wu2020, wu2020


def wu2020_specs(block: Block, base: Baseline, problems: Problems) -> list[StageSpec]:
    """The stages of the block. Every problem is noted; what could not be used is then the baseline's."""
    clips = planned_clips(block, base, problems)
    long_cycle = _long_cycle(block, base, problems)
    short_cycle = [planned_size('multigrid.short_cycle', value, block, base, problems) for value in block.short_cycle]
    steps = _lr_steps(block, base, problems)
    knobs = Wu2020(
        long_cycle=long_cycle,
        short_cycle=short_cycle,
        steps=steps,
        clips=clips,
        lr_scale=batch_lr_scale(clips / base.clips, block.lr_scaling),
        epoch_factor=block.epoch_factor,
        finetune=block.finetune and len(steps) > 1,
        small_lr_max=block.small_lr_max,
    )
    specs = wu2020(base, knobs)
    check_lengths(specs, base, problems)
    return specs


def _long_cycle(block: Block, base: Baseline, problems: Problems) -> list[tuple[int, int]]:
    """(frames, GT size) of the long shapes, without equal neighbours, which rounding can make."""
    asked: tuple[tuple[float | int, float | int], ...] = LONG_SHAPES if block.long_cycle is None else block.long_cycle
    if block.long_cycle is None and base.fixed_frames:
        asked = tuple((1.0, size) for _, size in LONG_SHAPES)
    shapes: list[tuple[int, int]] = []
    for n, (time, size) in enumerate(asked):
        path = f'multigrid.long_cycle[{n}]'
        if base.fixed_frames and frames_asked(time, base) != base.frames:
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


def _lr_steps(block: Block, base: Baseline, problems: Problems) -> list[LrStep]:
    """The steps of the block, else those of the file's scheduler if it has steps, else the paper's.

    Those at or past the file's end, which the file would never reach, are left out of the file's own.
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

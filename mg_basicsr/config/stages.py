"""Resolves the block of preset stages: absent values are the baseline's."""

from __future__ import annotations

from mg_basicsr.config.baseline import check_host_curve
from mg_basicsr.config.block import Block
from mg_basicsr.config.problems import Problems
from mg_basicsr.schedule.baseline import Baseline
from mg_basicsr.schedule.plan import StageSpec
from mg_basicsr.schedule.stages import ExplicitStage, stages


def stages_specs(block: Block, base: Baseline, problems: Problems) -> list[StageSpec]:
    """The stages of the block; what does not fit the dataset is noted."""
    entries: list[ExplicitStage] = []
    for n, entry in enumerate(block.stages):
        path = f'multigrid.stages[{n}]'
        size, frames = entry.gt_size or base.size, entry.frames or base.frames
        first, last, curve = entry.lr or (base.lr, base.eta_min, 'cosine')
        if size % base.scale:
            problems.add(
                f'{path}.gt_size: {size} is not a multiple of scale {base.scale}',
                f'allowed: multiples of {base.scale}',
                f'set it to {size // base.scale * base.scale or base.scale}',
            )
        if base.fixed_frames and frames != base.frames:
            problems.add(
                f'{path}.frames: {frames}',
                f'allowed: {base.frames}, the dataset gives clips of no other length',
                f'set it to {base.frames}, or remove it',
            )
        elif base.mirrored and frames % 2:
            allowed = 'allowed: even numbers, as the clips are mirrored'
            problems.add(f'{path}.frames: {frames}', allowed, f'set it to {frames + 1}')
        if curve.startswith('host'):
            check_host_curve(f'{path}.lr', base, problems)
        entries.append(ExplicitStage(entry.iters, frames, size, entry.clips or base.clips, first, last, curve))
    return stages(base, entries)

"""Resolves the block of preset stages: absent values are the baseline's."""

from __future__ import annotations

from mg_basicsr.config.baseline import check_host_curve
from mg_basicsr.config.block import Block, StageEntry
from mg_basicsr.parsing.problems import Problems
from mg_basicsr.schedule.baseline import Baseline
from mg_basicsr.schedule.plan import StageSpec
from mg_basicsr.schedule.shape import BatchShape
from mg_basicsr.schedule.stages import ExplicitStage, stages


def stages_specs(block: Block, base: Baseline, problems: Problems) -> list[StageSpec]:
    """The stages of the block; what does not fit the dataset is noted."""
    entries: list[ExplicitStage] = []
    for n, entry in enumerate(block.stages):
        path = f'multigrid.stages[{n}]'
        shapes = _shapes(entry, base)
        if entry.short_cycle and (entry.frames or entry.gt_size or entry.clips):
            problems.add(
                f'{path}.short_cycle',
                'beside frames, gt_size or clips',
                'allowed: a short cycle tells all three of each shape',
                'remove the others, or short_cycle',
            )
        first, last, curve = entry.lr or (base.lr, base.eta_min, 'cosine')
        for place, shape in enumerate(shapes):
            cycle = f'.short_cycle[{place}]' if entry.short_cycle else ''
            _check_shape(path + cycle, shape, base, problems)
        if curve.startswith('host'):
            check_host_curve(f'{path}.lr', base, problems)
        entries.append(ExplicitStage(entry.iters, shapes, first, last, curve))
    return stages(base, entries)


def _shapes(entry: StageEntry, base: Baseline) -> tuple[BatchShape, ...]:
    if entry.short_cycle:
        return tuple(BatchShape(shape.clips, shape.frames, shape.gt_size) for shape in entry.short_cycle)
    return (BatchShape(entry.clips or base.clips, entry.frames or base.frames, entry.gt_size or base.size),)


def _check_shape(path: str, shape: BatchShape, base: Baseline, problems: Problems) -> None:
    if shape.size % base.scale:
        problems.add(
            f'{path}.gt_size',
            f'{shape.size} is not a multiple of scale {base.scale}',
            f'allowed: multiples of {base.scale}',
            f'set it to {shape.size // base.scale * base.scale or base.scale}',
        )
    if base.fixed_frames and shape.frames != base.frames:
        problems.add(
            f'{path}.frames',
            f'{shape.frames}',
            f'allowed: {base.frames}, the dataset gives clips of no other length',
            f'set it to {base.frames}, or remove it',
        )
    elif base.mirrored and shape.frames % 2:
        allowed = 'allowed: even numbers, as the clips are mirrored'
        problems.add(f'{path}.frames', f'{shape.frames}', allowed, f'set it to {shape.frames + 1}')

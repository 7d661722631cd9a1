"""The sampling grid that a block asks for, checked against what the dataset can give."""

from __future__ import annotations

from mg_basicsr.config.block import Block
from mg_basicsr.dataset_types import DEGRADATIONS, exists_for
from mg_basicsr.parsing.problems import Problems
from mg_basicsr.schedule.baseline import Baseline
from mg_basicsr.schedule.grid import Grid

# The preset whose method has grids; the others have them where the block says so.
WITH_GRIDS = 'wu2020'


def wanted_grid(block: Block, base: Baseline) -> Grid:
    """The grid as the block has it, or as its preset does.

    A preset's spatial grid needs a known degradation, which the store may tell: whether there is one is found later.
    """
    default = block.preset == WITH_GRIDS
    of_clips = default and not base.fixed_frames  # a fixed number of frames leaves none out
    temporal = of_clips if block.temporal_stride is None else block.temporal_stride
    spatial = default if block.spatial_stride is None else block.spatial_stride
    return Grid(base.frames, base.size, temporal, spatial)


def explicit_grid(block: Block, base: Baseline, known: bool) -> dict[str, bool]:
    """The keys that give a block of preset `stages` this block's grid, in so far as they are not there already.

    Args:
        block: The block.
        base: The baseline.
        known: Whether it is known how LQ was made without the block telling.
    """
    grid = wanted_grid(block, base)
    known = known or block.degradation is not None
    keys = {'temporal_stride': grid.temporal, 'spatial_stride': grid.spatial and known}
    return {key: True for key, on in keys.items() if on and getattr(block, key) is None}


def check_grid(block: Block, base: Baseline, problems: Problems) -> None:
    """Notes a stride where there are no frames to leave out, and a degradation that this scale does not have."""
    if block.temporal_stride and base.fixed_frames:
        problems.add(
            'multigrid.temporal_stride',
            f'true, but clips have {base.frames} frames at every stage',
            'allowed: with datasets of clips that can be shorter, such as REDSRecurrentDataset',
            'remove it',
        )
    if block.degradation and not (base.scale > 1 and exists_for(block.degradation, base.scale)):
        problems.add(
            'multigrid.degradation',
            f'{block.degradation} with scale: {base.scale}',
            f'allowed: bicubic with a scale above 1, bd with scale {DEGRADATIONS["bd"]}',
            'remove it, or correct scale',
        )

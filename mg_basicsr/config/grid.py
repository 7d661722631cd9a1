"""Sampling grid of a block, checked against the dataset."""

from __future__ import annotations

from dataclasses import replace

from mg_basicsr.config.block import Block
from mg_basicsr.config.presets.table import preset_of
from mg_basicsr.dataset_types import DEGRADATIONS, exists_for
from mg_basicsr.parsing.problems import Problems
from mg_basicsr.schedule.baseline import Baseline
from mg_basicsr.schedule.grid import Grid


def wanted_grid(block: Block, base: Baseline) -> Grid:
    """Return the grid of a block; keys that it does not set are those of its preset.

    Args:
        block: The block.
        base: The run that the file describes.
    """
    grid = preset_of(block).grid(base)
    temporal = grid.temporal if block.temporal_stride is None else block.temporal_stride
    spatial = grid.spatial if block.spatial_stride is None else block.spatial_stride
    return replace(grid, temporal=temporal, spatial=spatial)


def explicit_grid(block: Block, base: Baseline, known: bool) -> dict[str, bool]:
    """Return the keys that give a block of preset `stages` this block's grid, without those that the block sets itself.

    Args:
        block: The block.
        base: The run that the file describes.
        known: Whether the degradation is known without the block's `degradation`.
    """
    grid = wanted_grid(block, base)
    known = known or block.degradation is not None
    keys = {'temporal_stride': grid.temporal, 'spatial_stride': grid.spatial and known}
    return {key: True for key, on in keys.items() if on and getattr(block, key) is None}


def check_grid(block: Block, base: Baseline, problems: Problems) -> None:
    """Add a problem for a stride over a fixed number of frames, and for a degradation of another scale.

    Args:
        block: The block.
        base: The run that the file describes.
        problems: Collection to which problems are added.
    """
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

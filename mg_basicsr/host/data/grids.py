"""Sampling grid of a run: the one that its block requests, as far as its data allows."""

from __future__ import annotations

from dataclasses import replace

from mg_basicsr.config.grid import wanted_grid
from mg_basicsr.config.resolve import Settings
from mg_basicsr.data.datasets.clip_dataset import ClipDataset
from mg_basicsr.data.store.format import Header
from mg_basicsr.dataset_types import DEGRADATIONS
from mg_basicsr.errors import ConfigError, Problem
from mg_basicsr.schedule.grid import OFF, Grid
from mg_basicsr.train_set import unknown_degradation


def known_degradation(told: str | None, header: Header | None = None) -> str | None:
    """Return how LQ was made from GT: `multigrid.degradation`, or the record of a store; None if both are missing.

    Args:
        told: Value of `multigrid.degradation`.
        header: Header of the store; None without a store.

    Raises:
        ConfigError: the two contradict each other.
    """
    stored = header.degradation if header and header.degradation in DEGRADATIONS and header.scale > 1 else None
    if told and stored and told != stored:
        raise ConfigError(
            Problem(
                'multigrid.degradation',
                f'{told}, but the LQ frames of the store were made by {stored}',
                f'allowed: {stored}, which the store itself records',
                'remove it',
            )
        )
    return told or stored


def run_grid(settings: Settings, dataset: ClipDataset | None) -> Grid:
    """Return the grid of a run. Defaults of a preset that the data does not allow are turned off.

    Args:
        settings: The resolved options file.
        dataset: This package's dataset; None if the host's own is adapted.

    Raises:
        ConfigError: the block requests resampled crops, but neither block nor store says how LQ was made.
    """
    if dataset is None:
        return OFF
    block, options = settings.block, dataset.options
    grid = wanted_grid(block, settings.baseline)
    if block.spatial_stride and not options.degradation:
        raise ConfigError(unknown_degradation(block.store or options.store or options.dataroot_lq))
    return replace(grid, spatial=grid.spatial and bool(options.degradation) and not options.dataroot_flow)

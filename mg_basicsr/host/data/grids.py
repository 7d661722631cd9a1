"""The sampling grid of a run: what its block asks for, as far as its data can give it."""

from __future__ import annotations

from dataclasses import replace

from mg_basicsr.config.grid import wanted_grid
from mg_basicsr.config.resolve import Settings
from mg_basicsr.data.datasets.clip_dataset import ClipDataset
from mg_basicsr.data.datasets.resampled_crops import KNOWN_DEGRADATIONS, unknown_degradation
from mg_basicsr.data.listing.train_set import BLOCK
from mg_basicsr.data.store.format import Header
from mg_basicsr.errors import ConfigError, Problem
from mg_basicsr.parsing.options_file import OptionsFile
from mg_basicsr.schedule.grid import OFF, Grid


def known_degradation(told: str | None, header: Header | None = None) -> str | None:
    """How LQ was made from GT: what `multigrid.degradation` tells, or a store's header; None if neither does.

    Raises:
        ConfigError: they contradict each other.
    """
    stored = header.degradation if header and header.degradation in KNOWN_DEGRADATIONS and header.scale > 1 else None
    if told and stored and told != stored:
        raise ConfigError(
            Problem(
                'multigrid.degradation',
                f'{told}, but the LQ frames of the store were made by {stored}',
                f'allowed: {stored}, which the store tells by itself',
                'remove it',
            )
        )
    return told or stored


def run_grid(file: OptionsFile, settings: Settings, dataset: ClipDataset | None) -> Grid:
    """The grid of a run. What a preset would have by default is left out where the data does not allow it.

    Args:
        file: The options file.
        settings: What it asks for.
        dataset: Our dataset; None where the host's own is adapted.

    Raises:
        ConfigError: the block asks for a stride that the data does not allow.
    """
    block = settings.block
    if dataset is None:
        name = str(file.options['datasets']['train'].get('type'))
        refused = [key for key in ('temporal_stride', 'spatial_stride') if getattr(block, key)]
        if refused:
            raise ConfigError(*(_reads_by_itself(key, name) for key in refused))
        return OFF
    grid = wanted_grid(block, settings.baseline)
    options = dataset.options
    if block.spatial_stride and not options.degradation:
        raise ConfigError(unknown_degradation(options.store or block.store or options.dataroot_lq))
    if block.spatial_stride and options.dataroot_flow:
        raise ConfigError(
            Problem(
                'multigrid.spatial_stride',
                f'true, but {BLOCK}.dataroot_flow gives flow for LQ frames as they are',
                'allowed: datasets without flow files',
                f'remove {BLOCK}.dataroot_flow or spatial_stride',
            )
        )
    return replace(grid, spatial=grid.spatial and bool(options.degradation) and not options.dataroot_flow)


def _reads_by_itself(key: str, name: str) -> Problem:
    return Problem(
        f'multigrid.{key}',
        f'true, but {BLOCK}.type {name} reads by code of its own',
        "allowed: with BasicSR's REDS, Vimeo-90K and PairedImage types, and ours for them",
        f'remove {key}, or use one of these types',
    )

"""Checks that the training set supports the keys of a block, as far as the options show."""

from __future__ import annotations

from mg_basicsr.config.block import Block
from mg_basicsr.dataset_types import TYPES
from mg_basicsr.parsing.problems import Problems
from mg_basicsr.train_set import BLOCK, TrainSet, unknown_degradation


def check_data_needs(block: Block, train_set: TrainSet, problems: Problems) -> None:
    """Add a problem for every key of a block that the training set does not support.

    Only this package's datasets read a store, leave frames out and resample crops. Resampling needs to know how LQ was
    made, which may be recorded in a store.

    Args:
        block: The block.
        train_set: The training set.
        problems: Collection to which problems are added.
    """
    options = train_set.options
    if options is None:
        _check_adapted(block, train_set.name, problems)
    elif block.spatial_stride and options.dataroot_flow:
        problems.add(
            'multigrid.spatial_stride',
            f'true, but {BLOCK}.dataroot_flow gives flow for LQ frames that are not resampled',
            'allowed: datasets without flow files',
            f'remove {BLOCK}.dataroot_flow or spatial_stride',
        )
    elif block.spatial_stride and not (block.degradation or block.store or options.store):
        problems.found.append(unknown_degradation(options.dataroot_lq))


def _check_adapted(block: Block, name: str, problems: Problems) -> None:
    """Add a problem for every key that the host's own dataset, which is adapted, does not support."""
    if block.store:
        problems.add(
            'multigrid.store',
            f'{block.store}, but {BLOCK}.type {name} reads its files by its own code',
            'allowed: with ' + ', '.join(sorted(TYPES)),
            'remove store, or use one of these types',
        )
    for key in ('temporal_stride', 'spatial_stride'):
        if getattr(block, key):
            problems.add(
                f'multigrid.{key}',
                f'true, but {BLOCK}.type {name} reads its files by its own code',
                "allowed: with BasicSR's REDS, Vimeo-90K and PairedImage types, and ours for them",
                f'remove {key}, or use one of these types',
            )

"""What a block needs of the training set, as far as the options tell."""

from __future__ import annotations

from mg_basicsr.config.block import Block
from mg_basicsr.dataset_types import TYPES
from mg_basicsr.parsing.problems import Problems
from mg_basicsr.train_set import BLOCK, TrainSet, unknown_degradation


def check_data_needs(block: Block, train_set: TrainSet, problems: Problems) -> None:
    """Add problems of keys of the block that the training set cannot serve.

    Only our own datasets read a store, leave frames out and resample crops; the last needs to know how LQ was made,
    which a store may tell when it is opened.
    """
    options = train_set.options
    if options is None:
        _check_adapted(block, train_set.name, problems)
    elif block.spatial_stride and options.dataroot_flow:
        problems.add(
            'multigrid.spatial_stride',
            f'true, but {BLOCK}.dataroot_flow gives flow for LQ frames as they are',
            'allowed: datasets without flow files',
            f'remove {BLOCK}.dataroot_flow or spatial_stride',
        )
    elif block.spatial_stride and not (block.degradation or block.store or options.store):
        problems.found.append(unknown_degradation(options.dataroot_lq))


def _check_adapted(block: Block, name: str, problems: Problems) -> None:
    """Add problems of keys that the host's own dataset, which is adapted, cannot follow."""
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

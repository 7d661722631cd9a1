"""Inputs of a store: BasicSR's imresize, and the training set of an options file."""

from __future__ import annotations

import importlib.util
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mg_basicsr.config.resolve import Settings, resolve
from mg_basicsr.data.crops.crop import Pixels
from mg_basicsr.data.crops.degradation import Degrade, bd
from mg_basicsr.data.store.format import read_header
from mg_basicsr.dataset_types import CONVERSIONS, DEGRADATIONS, IMAGES, TYPES, DatasetType, exists_for
from mg_basicsr.errors import ConfigError, DataError, Problem
from mg_basicsr.parsing.options_file import OptionsFile
from mg_basicsr.train_set import BLOCK, TrainSetOptions, train_set_of


def degradation(name: str, scale: int) -> Degrade | None:
    """Return the function that makes LQ; None for 'files'. It can be sent to other processes.

    Args:
        name: 'files', 'bicubic' or 'bd'.
        scale: GT pixels per LQ pixel and axis.

    Raises:
        ConfigError: the method is not defined for this scale, or needs BasicSR, which is not installed.
    """
    if name == 'files':
        return None
    if not exists_for(name, scale):
        what, allowed = f'{name} is not defined for scale {scale}', f'allowed: scale {DEGRADATIONS[name]}'
        raise ConfigError(Problem('--degradation', what, allowed, 'use --degradation bicubic'))
    if name == 'bd':
        return bd
    if importlib.util.find_spec('basicsr') is None:
        what = "bicubic uses BasicSR's imresize, and basicsr is not installed"
        raise ConfigError(
            Problem('--degradation', what, remedy='pip install mg-basicsr[basicsr], or use --degradation bd')
        )
    return partial(bicubic, scale=scale)


def bicubic(frame: Pixels, scale: int) -> Pixels:
    """Return the LQ frame of a GT frame by BasicSR's imresize, which equals MATLAB's.

    Args:
        frame: uint8 (H, W, 3).
        scale: GT pixels per LQ pixel and axis.
    """
    from mg_basicsr.host.install import install

    install()  # without a shim, basicsr 1.4.2 cannot be imported with torchvision 0.17 or later
    import torch
    from basicsr.utils.matlab_functions import imresize

    torch.set_num_threads(1)  # with its small matrices, starting threads takes longer than they save
    height, width = (edge // scale for edge in frame.shape[:2])
    small = imresize(frame.astype(np.float32) / 255, 1 / scale)[:height, :width]
    return np.asarray((small * 255).round().clip(0, 255), np.uint8)


class StoreSet(NamedTuple):
    """Training set from which a store is made.

    Attributes:
        options: Options of the set in folders or LMDBs.
        kind: Entry in the table of dataset types.
        store: Folder of the store that the options file names, or None.
    """

    options: TrainSetOptions
    kind: DatasetType
    store: str | None


def training_set(file: OptionsFile) -> StoreSet:
    """Return the training set of an options file.

    A file with a `multigrid:` block is read as a whole: no store is built for a run that would be refused.

    Raises:
        ConfigError: the file has no training set, one that cannot be read from a store, or other problems.
    """
    settings = resolve(file) if file.has_block else None
    train_set = settings.train_set if settings else train_set_of(file.options)
    options, kind = train_set.options, train_set.kind
    if options is None or kind is None:
        conversions = f' with {", ".join(CONVERSIONS[:-1])} or {CONVERSIONS[-1]}' if kind is IMAGES else ''
        raise ConfigError(
            Problem(
                f'{BLOCK}.type',
                f'{train_set.name}{conversions} reads its files itself and cannot use a store',
                f'allowed: {", ".join(TYPES)}',
                'prepare a store from folders with --gt and --lq',
            )
        )
    store = (settings.block.store if settings else None) or options.store
    if options.backend == 'store':  # the store is made from the folders or LMDBs that the file also names
        options = options.replace(backend='lmdb' if options.dataroot_gt.endswith('.lmdb') else 'disk', store=None)
    return StoreSet(options, kind, store)


def stored_degradation(settings: Settings) -> str | None:
    """Return how the LQ frames of a run's store were made from GT; None without a store, or if it has no record."""
    options = settings.train_set.options
    path = settings.block.store or (options and options.store)
    try:
        made = read_header(Path(path).expanduser()).degradation if path else 'files'
    except DataError:  # not prepared yet
        return None
    return None if made == 'files' else made

"""What building a store needs of BasicSR: its imresize, and the meaning of its dataset types."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mg_basicsr.data.crops.crop import Pixels
from mg_basicsr.data.crops.degradation import BD_SCALE, Degrade, bd
from mg_basicsr.data.listing.train_set import BLOCK, TrainSetOptions
from mg_basicsr.data.store.format import read_header
from mg_basicsr.dataset_types import REDS, VIMEO
from mg_basicsr.errors import ConfigError, DataError, Problem
from mg_basicsr.parsing.options_file import OptionsFile

LAYOUT_OF = {**dict.fromkeys(REDS, 'reds'), **dict.fromkeys(VIMEO, 'vimeo'), 'PairedImageDataset': 'images'}


def degradation(name: str, scale: int) -> Degrade | None:
    """The function that makes LQ; None for 'files'. It can be sent to other processes.

    Raises:
        ConfigError: it does not exist for this scale, or needs BasicSR, which is not installed.
    """
    if name == 'files':
        return None
    if name == 'bd':
        if scale != BD_SCALE:
            what = f'bd is not defined for scale {scale}'
            raise ConfigError(Problem('--degradation', what, f'allowed: scale {BD_SCALE}', 'use --degradation bicubic'))
        return bd
    if importlib.util.find_spec('basicsr') is None:
        what = "bicubic uses BasicSR's imresize, and basicsr is not installed"
        raise ConfigError(
            Problem('--degradation', what, remedy='pip install mg-basicsr[basicsr], or use --degradation bd')
        )
    return partial(bicubic, scale=scale)


def bicubic(frame: Pixels, scale: int) -> Pixels:
    """The MATLAB-like resize that BasicSR's data sets are made with."""
    from mg_basicsr.host.install import install

    install()  # basicsr 1.4.2 cannot be imported beside today's torchvision without a shim
    import torch
    from basicsr.utils.matlab_functions import imresize

    torch.set_num_threads(1)  # its matrices are small: threads cost more than they give
    height, width = (edge // scale for edge in frame.shape[:2])
    small = imresize(frame.astype(np.float32) / 255, 1 / scale)[:height, :width]
    return np.asarray((small * 255).round().clip(0, 255), np.uint8)


def training_set(file: OptionsFile) -> tuple[TrainSetOptions, str]:
    """Options of the file's training set as it is in folders or LMDBs, and its layout.

    Raises:
        ConfigError: the file has none, or one that a store cannot serve.
    """
    datasets = file.options.get('datasets')
    block = datasets.get('train') if isinstance(datasets, Mapping) else None
    if not isinstance(block, Mapping):
        raise ConfigError(Problem(BLOCK, f'missing in {file.path}', 'allowed: a training set', 'add it'))
    layout = LAYOUT_OF.get(str(block.get('type')))
    if layout is None:
        raise ConfigError(
            Problem(
                f'{BLOCK}.type',
                f'{block.get("type")} reads its files itself and cannot use a store',
                f'allowed: {", ".join(LAYOUT_OF)}',
                'prepare a store from folders with --gt and --lq',
            )
        )
    return TrainSetOptions.parse({**block, 'io_backend': _backend(block)}, file.options.get('scale', 1)), layout


def store_path(options: Mapping[str, Any]) -> str | None:
    """The store that an options file names, as `multigrid.store` or as the path of an io_backend of type store."""
    block = options.get('multigrid')
    if isinstance(block, Mapping) and block.get('store'):
        return str(block['store'])
    backend = ((options.get('datasets') or {}).get('train') or {}).get('io_backend')
    if isinstance(backend, Mapping) and backend.get('type') == 'store' and backend.get('path'):
        return str(backend['path'])
    return None


def stored_degradation(options: Mapping[str, Any]) -> str | None:
    """How the LQ frames of the file's store were made from GT; None without a store, or if it does not tell."""
    path = store_path(options)
    try:
        made = read_header(Path(path).expanduser()).degradation if path else 'files'
    except DataError:  # not prepared yet
        return None
    return None if made == 'files' else made


def _backend(block: Mapping[str, Any]) -> Any:
    backend = block.get('io_backend')
    if not isinstance(backend, Mapping) or backend.get('type') != 'store':
        return backend
    return {'type': 'lmdb' if str(block.get('dataroot_gt')).endswith('.lmdb') else 'disk'}

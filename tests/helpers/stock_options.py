"""Options files as BasicSR ships them, in short, and plans made from them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mg_basicsr.config.resolve import Settings, resolve
from mg_basicsr.parsing.options_file import OptionsFile
from mg_basicsr.schedule.describe import describe

PAPER = {'preset': 'lin2022', 'base_batch_size': 16, 'batch_size': 64}  # lin2022's BasicVSR-M on REDS

_BASICVSR_REDS: dict[str, Any] = {
    'name': 'BasicVSR_REDS',
    'model_type': 'VideoRecurrentModel',
    'scale': 4,
    'num_gpu': 4,
    'manual_seed': 0,
    'datasets': {
        'train': {
            'name': 'REDS',
            'type': 'REDSRecurrentDataset',
            'dataroot_gt': 'datasets/REDS/train_sharp',
            'dataroot_lq': 'datasets/REDS/train_sharp_bicubic/X4',
            'meta_info_file': 'basicsr/data/meta_info/meta_info_REDS_GT.txt',
            'val_partition': 'REDS4',
            'test_mode': False,
            'io_backend': {'type': 'disk'},
            'num_frame': 15,
            'gt_size': 256,
            'interval_list': [1],
            'random_reverse': False,
            'use_hflip': True,
            'use_rot': True,
            'num_worker_per_gpu': 3,
            'batch_size_per_gpu': 4,
            'dataset_enlarge_ratio': 200,
            'prefetch_mode': None,
        },
    },
    'train': {
        'total_iter': 300_000,
        'warmup_iter': -1,
        'fix_flow': 5000,
        'optim_g': {'type': 'Adam', 'lr': 2e-4},
        'scheduler': {
            'type': 'CosineAnnealingRestartLR',
            'periods': [300_000],
            'restart_weights': [1],
            'eta_min': 1e-7,
        },
    },
}
_DATASETS: dict[str, dict[str, Any]] = {
    'reds': {},
    'vimeo': {'type': 'Vimeo90KRecurrentDataset', 'num_frame': -1, 'flip_sequence': True},
    'edvr': {'type': 'REDSDataset', 'num_frame': 5},
}

REMOVED = object()  # as a changed value: the key is taken out


def stock(
    kind: str = 'reds', block: Mapping[str, Any] | None = None, changes: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """An options file: `kind` of dataset ('reds', 'vimeo', 'edvr'), a `multigrid:` block, values by dotted path."""
    options = copy.deepcopy(_BASICVSR_REDS)
    options['datasets']['train'] |= _DATASETS[kind]
    if block is not None:
        options['multigrid'] = copy.deepcopy(dict(block))
    change(options, changes or {})
    return options


def change(options: dict[str, Any], changes: Mapping[str, Any]) -> None:
    """Set values by dotted path; REMOVED takes the key out."""
    for path, value in changes.items():
        *sections, key = path.split('.')
        target = options
        for section in sections:
            target = target[section]
        if value is REMOVED:
            del target[key]
        else:
            target[key] = value


def resolved(options: Mapping[str, Any], world_size: int | None = None) -> Settings:
    return resolve(OptionsFile(Path('options.yml'), (), dict(options)), world_size)


def described(options: Mapping[str, Any], world_size: int | None = None) -> dict[str, Any]:
    settings = resolved(options, world_size)
    return describe(settings.plan, settings.baseline)

"""A working directory with an options file, and what a run leaves in it."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.helpers.clips import SCALE
from tests.helpers.trainer import ENVIRONMENT, SECONDS, checked

OPTIONS: dict[str, Any] = {
    'name': 'tiny',
    'model_type': 'VideoRecurrentModel',
    'scale': SCALE,
    'num_gpu': 0,
    'manual_seed': 0,
    'datasets': {
        'train': {
            'name': 'REDS',
            'type': 'REDSRecurrentDataset',
            'val_partition': 'REDS4',
            'test_mode': False,
            'io_backend': {'type': 'disk'},
            'num_frame': 6,
            'gt_size': 64,
            'interval_list': [1],
            'random_reverse': False,
            'use_hflip': True,
            'use_rot': True,
            'num_worker_per_gpu': 1,
            'batch_size_per_gpu': 2,
            'dataset_enlarge_ratio': 1,
            'prefetch_mode': None,
        },
        'val': {
            'name': 'REDS4',
            'type': 'VideoRecurrentTestDataset',
            'cache_data': True,
            'io_backend': {'type': 'disk'},
            'num_frame': -1,
        },
    },
    'network_g': {'type': 'BasicVSR', 'num_feat': 4, 'num_block': 1, 'spynet_path': None},
    'path': {'pretrain_network_g': None, 'strict_load_g': True, 'resume_state': None},
    'train': {
        'ema_decay': 0.9,
        'optim_g': {'type': 'Adam', 'lr': 1e-3, 'weight_decay': 0, 'betas': [0.9, 0.99]},
        'scheduler': {
            'type': 'CosineAnnealingRestartLR',
            'periods': [12],
            'restart_weights': [1],
            'eta_min': 1e-7,
        },
        'total_iter': 12,
        'warmup_iter': -1,
        'fix_flow': 2,
        'flow_lr_mul': 0.125,
        'pixel_opt': {'type': 'CharbonnierLoss', 'loss_weight': 1.0, 'reduction': 'mean'},
    },
    'val': {
        'val_freq': 6,
        'save_img': False,
        'metrics': {'psnr': {'type': 'calculate_psnr', 'crop_border': 0, 'test_y_channel': False}},
    },
    'logger': {'print_freq': 1, 'save_checkpoint_freq': 6, 'use_tb_logger': False},
    'dist_params': {'backend': 'nccl', 'port': 29500},
}
BLOCK = {'preset': 'lin2022', 'min_lq_size': 8, 'min_frames': 3}
SMALLEST = {'type': 'MultigridDemoNet', 'num_feat': 4, 'num_block': 1}


NewProject = Callable[[], 'Project']  # of the fixture new_project


class Project:
    """A working directory with an options file, as a user has it.

    Attributes:
        root: The directory.
        options: What `write` writes: BasicVSR on a set of `write_set`, twelve iterations of two clips.
    """

    def __init__(self, root: Path, clips: Path) -> None:
        self.root = root
        self.options = copy.deepcopy(OPTIONS)
        train, val = self.options['datasets']['train'], self.options['datasets']['val']
        train.update(
            dataroot_gt=str(clips / 'GT'), dataroot_lq=str(clips / 'LQ'), meta_info_file=str(clips / 'meta.txt')
        )
        val.update(dataroot_gt=str(clips / 'val/GT'), dataroot_lq=str(clips / 'val/LQ'))

    def shrink(self, validation: bool = False, **train_set: Any) -> None:
        """Take the smallest network, which has no flow, and no worker.

        Args:
            validation: Whether the file still asks for it.
            train_set: Changes of datasets.train.
        """
        if not validation:
            self.options['val'] = None
            del self.options['datasets']['val']
        self.options['network_g'] = dict(SMALLEST)
        for key in ('fix_flow', 'flow_lr_mul'):
            del self.options['train'][key]
        self.options['datasets']['train'].update({'num_worker_per_gpu': 0, **train_set})

    @property
    def experiment(self) -> Path:
        return self.root / 'experiments' / str(self.options['name'])

    def write(self, block: Mapping[str, Any] | None = BLOCK, name: str = 'train.yml') -> Path:
        """Write the options file, with the block unless it is None."""
        options = {**self.options, **({'multigrid': dict(block)} if block is not None else {})}
        path = self.root / name
        path.write_text(yaml.safe_dump(options, sort_keys=False))
        return path

    def launch(self, *arguments: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `python arguments...` in the project's directory, as a process that imports everything itself."""
        env = {**os.environ, **ENVIRONMENT, **environment}
        command = [sys.executable, *arguments]
        done = subprocess.run(command, cwd=self.root, env=env, capture_output=True, text=True, timeout=SECONDS)
        return checked(done) if check else done

    def log(self) -> str:
        """The text of the newest training log."""
        return max(self.experiment.glob('train_*.log'), key=lambda path: path.stat().st_mtime_ns).read_text()

    def losses(self) -> list[str]:
        """The losses as logged, iteration by iteration."""
        return [line.split('l_pix: ')[1].split()[0] for line in self.log().splitlines() if 'l_pix: ' in line]

    def weights(self, iteration: int | str = 'latest') -> dict[str, Any]:
        """The saved network: a mapping of 'params' (and 'params_ema') to tensors."""
        import torch

        path = self.experiment / 'models' / f'net_g_{iteration}.pth'
        return dict(torch.load(path, weights_only=True))


def same_weights(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Whether two saved networks are equal to the bit."""
    import torch

    return first.keys() == second.keys() and all(
        first[group].keys() == second[group].keys()
        and all(torch.equal(first[group][key], second[group][key]) for key in first[group])
        for group in first
    )


def lines_of(text: str) -> Sequence[str]:
    return [line for line in text.splitlines() if line.strip()]

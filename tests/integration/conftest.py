"""A small REDS-like set and the options to train on it: real files, the real BasicSR, a tiny network."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from tests.helpers.trainer import Trainer

CLIPS = {'001': 9, '002': 37, '003': 12}  # of different lengths: BasicSR's own classes assume 100
VALIDATION = {'000': 4, '011': 4}
GT_SHAPE = (96, 128)
SCALE = 4

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


def write_clips(root: Path, clips: Mapping[str, int], shape: tuple[int, int] = GT_SHAPE, seed: int = 0) -> None:
    """A smooth random texture that drifts; LQ by area averaging. Layout of REDS."""
    rng = np.random.default_rng(seed)
    for name, frames in clips.items():
        texture = cv2.GaussianBlur(rng.integers(0, 256, (2 * shape[0], 2 * shape[1], 3), dtype=np.uint8), (0, 0), 1.5)
        texture = cv2.normalize(texture, None, 0, 255, cv2.NORM_MINMAX)
        for side in ('GT', 'LQ'):
            (root / side / name).mkdir(parents=True, exist_ok=True)
        for n in range(frames):
            top, left = n % shape[0], 2 * n % shape[1]
            gt = texture[top : top + shape[0], left : left + shape[1]]
            lq = cv2.resize(gt, (shape[1] // SCALE, shape[0] // SCALE), interpolation=cv2.INTER_AREA)
            cv2.imwrite(str(root / 'GT' / name / f'{n:08d}.png'), gt)
            cv2.imwrite(str(root / 'LQ' / name / f'{n:08d}.png'), lq)


@pytest.fixture(scope='session')
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`GT/`, `LQ/`, `meta.txt`, and `val/` with the same inside."""
    root = tmp_path_factory.mktemp('clips')
    write_clips(root, CLIPS)
    write_clips(root / 'val', VALIDATION, seed=1)
    height, width = GT_SHAPE
    lines = [f'{name} {frames} ({height},{width},3)\n' for name, frames in sorted({**CLIPS, **VALIDATION}.items())]
    (root / 'meta.txt').write_text(''.join(lines))
    return root


class Project:
    """A working directory with an options file, as a user has it."""

    def __init__(self, root: Path, clips: Path) -> None:
        self.root = root
        self.options = copy.deepcopy(OPTIONS)
        train, val = self.options['datasets']['train'], self.options['datasets']['val']
        train.update(
            dataroot_gt=str(clips / 'GT'), dataroot_lq=str(clips / 'LQ'), meta_info_file=str(clips / 'meta.txt')
        )
        val.update(dataroot_gt=str(clips / 'val/GT'), dataroot_lq=str(clips / 'val/LQ'))

    def shrink(self) -> None:
        """The smallest network, without flow, and no validation."""
        self.options['val'] = None
        del self.options['datasets']['val']
        self.options['network_g'] = {'type': 'MultigridDemoNet', 'num_feat': 4, 'num_block': 1}
        for key in ('fix_flow', 'flow_lr_mul'):
            del self.options['train'][key]

    @property
    def experiment(self) -> Path:
        return self.root / 'experiments' / str(self.options['name'])

    def write(self, block: Mapping[str, Any] | None = BLOCK, name: str = 'train.yml') -> Path:
        """Writes the options file, with the block unless it is None."""
        options = {**self.options, **({'multigrid': dict(block)} if block is not None else {})}
        path = self.root / name
        path.write_text(yaml.safe_dump(options, sort_keys=False))
        return path

    def launch(self, *arguments: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs `python arguments...` in the project's directory, on one thread so that sums are in one order."""
        env = {**os.environ, 'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': '', **environment}
        done = subprocess.run(
            [sys.executable, *arguments], cwd=self.root, env=env, capture_output=True, text=True, timeout=300
        )
        if check and done.returncode:
            raise AssertionError(f'exit code {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}')
        return done

    def train(self, *arguments: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
        """`mg-basicsr train -opt train.yml ...`"""
        return self.launch('-m', 'mg_basicsr', 'train', '-opt', 'train.yml', *arguments, check=check, **environment)

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


@pytest.fixture
def project(tmp_path: Path, clips: Path) -> Project:
    return Project(tmp_path, clips)


@pytest.fixture(scope='module')
def trainer() -> Iterator[Trainer]:
    """A process that has imported what a training needs; one for each file of tests."""
    with Trainer() as started:
        yield started


def lines_of(text: str) -> Sequence[str]:
    return [line for line in text.splitlines() if line.strip()]

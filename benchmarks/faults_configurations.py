"""Runs of faults.py: one base, and what each configuration changes in its options file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faults_data import SCALE

TOTAL_ITER, SAVE_EVERY = 36, 4  # six stages of six iterations: saves fall at their borders and inside
LIN2022 = {'preset': 'lin2022', 'min_lq_size': 8, 'min_frames': 3}
WU2020 = {'preset': 'wu2020', 'epoch_factor': 6, 'min_lq_size': 8, 'min_frames': 3}  # with its short cycle
PROGRESSIVE = {
    'preset': 'progressive', 'gt_sizes': [32, 48, 64], 'mini_batch_sizes': [8, 6, 4], 'iters': [12, 12, 12],
}  # fmt: skip
SPATIAL = {'temporal': [1.0]}

# a repository's own training set, which draws crops and frames from the three generators
THEIR_SET = """
import random, cv2, numpy as np, torch
from pathlib import Path
from basicsr.utils.registry import DATASET_REGISTRY

@DATASET_REGISTRY.register()
class TheirDataset(torch.utils.data.Dataset):
    def __init__(self, opt):
        self.opt = opt
        self.clips = sorted(Path(opt['dataroot_gt']).iterdir())

    def __len__(self):
        return len(self.clips)

    def __getitem__(self, index):
        clip, size = self.clips[index], self.opt['gt_size'] // 4
        names = sorted(path.name for path in clip.iterdir())
        start = random.randint(0, len(names) - self.opt['num_frame'])
        top, left = np.random.randint(0, 24 - size + 1), int(torch.randint(0, 32 - size + 1, ()))
        sample = {}
        for side, root, scale in (('lq', 'dataroot_lq', 1), ('gt', 'dataroot_gt', 4)):
            folder, wanted = Path(self.opt[root], clip.name), names[start:][:self.opt['num_frame']]
            frames = [cv2.imread(str(folder / name)) for name in wanted]
            rows, columns = (slice(scale * first, scale * (first + size)) for first in (top, left))
            pixels = np.stack(frames)[:, rows, columns].transpose(0, 3, 1, 2)
            sample[side] = torch.from_numpy(np.ascontiguousarray(pixels)).float() / 255
        return {**sample, 'key': clip.name}
"""
# a discriminator whose result for a clip does not depend on the others of its pass
DISCRIMINATOR = """
import torch
from basicsr.utils.registry import ARCH_REGISTRY

@ARCH_REGISTRY.register()
class Discriminator(torch.nn.Sequential):
    def __init__(self):
        super().__init__(torch.nn.Conv2d(3, 4, 3, 2), torch.nn.LeakyReLU(0.2), torch.nn.Conv2d(4, 1, 3, 2))
"""
# tells faults_kills that a validation is under way
TELLS_OF_VALIDATION = """
import os
from basicsr.models.video_recurrent_model import VideoRecurrentModel
validate = VideoRecurrentModel.nondist_validation
def told(self, *args):
    open('validating', 'w').close()
    validate(self, *args)
    os.remove('validating')
VideoRecurrentModel.nondist_validation = told
"""


@dataclass(frozen=True)
class Configuration:
    """A kind of run.

    Attributes:
        block: The `multigrid:` block.
        change: Changes the rest of the options; called with them and the folder of the data.
        script: What the train.py registers.
        max_clips: Clips in one pass; None for all of a rank's.
        validates: Whether the script tells of validations.
    """

    block: dict[str, Any]
    change: Callable[[dict[str, Any], Path], None] = lambda options, data: None
    script: str = ''
    max_clips: int | None = None
    validates: bool = False

    def options(self, data: Path, ranks: int, block: dict[str, Any] | None, accumulate: bool) -> dict[str, Any]:
        """The options file.

        Args:
            data: Folder of the data.
            ranks: Ranks of the run, which share four clips.
            block: Another block in place of the configuration's.
            accumulate: Take steps in passes of one clip.
        """
        content = base(data, 4 // ranks)
        self.change(content, data)
        content['multigrid'] = {'base_batch_size': 4, **(block or self.block)}
        if self.block.get('store'):
            content['multigrid']['store'] = str(data / 'store')
        if most := 1 if accumulate else self.max_clips:
            content['multigrid']['max_clips'] = most
        return content


def base(data: Path, batch: int) -> dict[str, Any]:
    """An options file for the clips; `batch` is of one rank."""
    return {
        'name': 'faults', 'model_type': 'VideoRecurrentModel', 'scale': SCALE, 'num_gpu': 0, 'manual_seed': 0,
        'datasets': {'train': {
            'name': 'clips', 'type': 'REDSRecurrentDataset', 'dataroot_gt': str(data / 'GT'),
            'dataroot_lq': str(data / 'LQ'), 'meta_info_file': str(data / 'meta.txt'), 'val_partition': 'REDS4',
            'test_mode': False, 'io_backend': {'type': 'disk'}, 'num_frame': 6, 'gt_size': 64, 'interval_list': [1],
            'random_reverse': True, 'use_hflip': True, 'use_rot': True, 'num_worker_per_gpu': 0,
            'batch_size_per_gpu': batch, 'dataset_enlarge_ratio': 1, 'prefetch_mode': None,
        }},
        'network_g': {'type': 'MultigridDemoNet', 'num_feat': 4, 'num_block': 1},
        'path': {'pretrain_network_g': None, 'strict_load_g': True, 'resume_state': None},
        'train': {
            'ema_decay': 0.9, 'total_iter': TOTAL_ITER, 'warmup_iter': -1,
            'optim_g': {'type': 'Adam', 'lr': 1e-3, 'weight_decay': 0, 'betas': [0.9, 0.99]},
            'scheduler': {'type': 'CosineAnnealingRestartLR', 'periods': [TOTAL_ITER], 'restart_weights': [1],
                          'eta_min': 1.0e-7},
            'pixel_opt': {'type': 'CharbonnierLoss', 'loss_weight': 1.0, 'reduction': 'mean'},
        },
        'val': None,
        'logger': {'print_freq': 1, 'save_checkpoint_freq': SAVE_EVERY, 'use_tb_logger': False},
        'dist_params': {'backend': 'gloo', 'port': 29500},
    }  # fmt: skip


def lmdb(options: dict[str, Any], data: Path) -> None:
    options['datasets']['train'] |= {
        'io_backend': {'type': 'lmdb'}, 'dataroot_gt': str(data / 'GT.lmdb'), 'dataroot_lq': str(data / 'LQ.lmdb')
    }  # fmt: skip


def adapter(options: dict[str, Any], data: Path) -> None:
    options['datasets']['train']['type'] = 'TheirDataset'


def gan(options: dict[str, Any], data: Path) -> None:
    options |= {'model_type': 'VideoRecurrentGANModel', 'network_d': {'type': 'Discriminator'}}
    options['train'] |= {
        'fix_flow': None,
        'optim_d': {**options['train']['optim_g'], 'lr': 2.5e-4},
        'gan_opt': {'type': 'GANLoss', 'gan_type': 'vanilla', 'loss_weight': 0.1},
    }


def edvr(options: dict[str, Any], data: Path) -> None:
    """The fusion module alone is trained up to iteration 10."""
    options['datasets']['train'] |= {'type': 'REDSDataset', 'num_frame': 3, 'dataroot_flow': None}
    options |= {'model_type': 'EDVRModel', 'network_g': {
        'type': 'EDVR', 'num_feat': 4, 'num_frame': 3, 'deformable_groups': 2, 'num_extract_block': 1,
        'num_reconstruct_block': 1, 'with_tsa': True,
    }}  # fmt: skip
    options['train'] |= {'tsa_iter': 10, 'dcn_lr_mul': 0.5}


def validation(options: dict[str, Any], data: Path) -> None:
    options['datasets']['val'] = {
        'name': 'REDS4', 'type': 'VideoRecurrentTestDataset', 'dataroot_gt': str(data / 'val/GT'),
        'dataroot_lq': str(data / 'val/LQ'), 'cache_data': True, 'io_backend': {'type': 'disk'}, 'num_frame': -1,
    }  # fmt: skip
    psnr = {'type': 'calculate_psnr', 'crop_border': 0, 'test_y_channel': False}
    options['val'] = {'val_freq': 3, 'save_img': False, 'metrics': {'psnr': psnr}}


CONFIGURATIONS = {
    'lin2022': Configuration(LIN2022),
    'wu2020': Configuration(WU2020),
    'progressive': Configuration(PROGRESSIVE),
    'passes': Configuration(LIN2022, max_clips=1),
    'store': Configuration({**LIN2022, 'store': True}),
    'lmdb': Configuration(LIN2022, lmdb),
    'adapter': Configuration({**LIN2022, **SPATIAL}, adapter, THEIR_SET),
    'gan': Configuration({**LIN2022, **SPATIAL}, gan, DISCRIMINATOR, max_clips=1),
    'edvr': Configuration({**LIN2022, **SPATIAL}, edvr),
    'validation': Configuration(LIN2022, validation, TELLS_OF_VALIDATION, validates=True),
}

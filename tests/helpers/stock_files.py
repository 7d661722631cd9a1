"""Options files of BasicSR's recipes, whole but cut down: small data, small networks, few iterations."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2

from tests.helpers.project import BLOCK, OPTIONS

WINDOW_BLOCK = {'preset': 'lin2022', 'min_lq_size': 8, 'temporal': [1.0]}
IMAGE_BLOCK = {
    'preset': 'stages',
    'stages': [
        {'iters': 6, 'frames': 1, 'gt_size': 32, 'clips': 2, 'lr': [1e-3, 1e-3, 'linear']},
        {'iters': 6, 'frames': 1, 'gt_size': 64, 'clips': 2, 'lr': [1e-3, 1e-3, 'linear']},
    ],
}
EDVR = {
    'type': 'EDVR', 'num_in_ch': 3, 'num_out_ch': 3, 'num_feat': 8, 'num_frame': 5, 'deformable_groups': 1,
    'num_extract_block': 1, 'num_reconstruct_block': 1, 'center_frame_idx': None, 'hr_in': False,
    'with_predeblur': False, 'with_tsa': False,
}  # fmt: skip
IMAGE_NETWORK = {'type': 'MSRResNet', 'num_in_ch': 3, 'num_out_ch': 3, 'num_feat': 8, 'num_block': 1, 'upscale': 4}
DISCRIMINATOR = {'type': 'UNetDiscriminatorSN', 'num_in_ch': 3, 'num_feat': 8, 'skip_connection': True}
GAN_LOSS = {'type': 'GANLoss', 'gan_type': 'vanilla', 'real_label_val': 1.0, 'fake_label_val': 0.0, 'loss_weight': 5e-3}
RECIPES = ('recurrent_reds', 'recurrent_vimeo', 'edvr', 'image', 'gan')

Place = tuple[str, ...]


def write_data(clips: Path) -> None:
    """Add septuplets and single images to a set of clips: `septuplets/` and `images/`, each with GT, LQ and a list.

    `one.txt` lists the first clip.
    """
    (clips / 'one.txt').write_text('001 9 (96,128,3)\n')
    for name, frames in (('septuplets', 7), ('images', 1)):
        names = []
        for n, clip in enumerate(('001', '002', '003')):
            for side in ('GT', 'LQ'):
                for frame in range(frames):
                    image = cv2.imread(str(clips / side / clip / f'{frame:08d}.png'))
                    place = f'00001/{n:04d}/im{frame + 1}.png' if frames > 1 else f'{clip}.png'
                    target = clips / name / side / place
                    target.parent.mkdir(parents=True, exist_ok=True)
                    cv2.imwrite(str(target), image)
            names.append(f'00001/{n:04d}' if frames > 1 else f'{clip}.png')
        size = f'{frames} (96,128,3)' if frames > 1 else '(96,128,3)'
        (clips / name / 'meta.txt').write_text(''.join(f'{name} {size}\n' for name in names))


def recipe(kind: str, clips: Path) -> dict[str, Any]:
    """Return the options of one of RECIPES on a set of `write_set` and `write_data`."""
    options = copy.deepcopy(OPTIONS)
    options |= {'multigrid': dict(BLOCK), 'find_unused_parameters': True}
    options['logger']['wandb'] = {'project': None, 'resume_id': None}
    train, val = options['datasets']['train'], options['datasets']['val']
    train |= {'dataroot_gt': str(clips / 'GT'), 'dataroot_lq': str(clips / 'LQ'), 'num_worker_per_gpu': 0}
    train |= {'meta_info_file': str(clips / 'meta.txt')}
    val |= {'dataroot_gt': str(clips / 'val/GT'), 'dataroot_lq': str(clips / 'val/LQ')}
    if kind == 'recurrent_reds':
        return options
    if kind == 'recurrent_vimeo':
        root = clips / 'septuplets'
        roots = {'dataroot_gt': str(root / 'GT'), 'dataroot_lq': str(root / 'LQ')}
        roots['meta_info_file'] = str(root / 'meta.txt')
        train |= {**roots, 'type': 'Vimeo90KRecurrentDataset', 'num_frame': 7, 'flip_sequence': True}
        for key in ('interval_list', 'val_partition', 'test_mode'):
            del train[key]
        val |= {**roots, 'name': 'Vimeo90K', 'type': 'VideoTestVimeo90KDataset', 'num_frame': 7, 'cache_data': False}
        options['val'] |= {'flip_seq': True, 'center_frame_only': True}
        return options
    for key in ('fix_flow', 'flow_lr_mul'):
        del options['train'][key]
    if kind == 'edvr':
        options |= {'model_type': 'EDVRModel', 'network_g': dict(EDVR), 'multigrid': dict(WINDOW_BLOCK)}
        options['train'] |= {'dcn_lr_mul': 1, 'tsa_iter': None}
        train |= {'type': 'REDSDataset', 'num_frame': 5, 'dataroot_flow': None}
        del train['test_mode']
        val |= {'type': 'VideoTestDataset', 'num_frame': 5, 'padding': 'reflection_circle', 'cache_data': False}
        roots = {'dataroot_gt': str(clips / 'GT'), 'dataroot_lq': str(clips / 'LQ')}
        val |= {**roots, 'meta_info_file': str(clips / 'one.txt')}
        return options
    options |= {'model_type': 'SRModel', 'network_g': dict(IMAGE_NETWORK), 'multigrid': copy.deepcopy(IMAGE_BLOCK)}
    root = clips / 'images'
    roots = {'dataroot_gt': str(root / 'GT'), 'dataroot_lq': str(root / 'LQ')}
    kept = ('io_backend', 'use_hflip', 'use_rot', 'num_worker_per_gpu', 'batch_size_per_gpu', 'dataset_enlarge_ratio')
    options['datasets'] = {
        'train': {
            **{key: train[key] for key in (*kept, 'gt_size', 'prefetch_mode')},
            **roots,
            'name': 'DIV2K',
            'type': 'PairedImageDataset',
            'meta_info_file': str(root / 'meta.txt'),
            'filename_tmpl': '{}',
        },
        'val': {**roots, 'name': 'Set5', 'type': 'PairedImageDataset', 'io_backend': {'type': 'disk'}},
    }
    if kind == 'gan':
        options |= {'model_type': 'SRGANModel', 'network_d': dict(DISCRIMINATOR)}
        options['path'] |= {'pretrain_network_d': None, 'strict_load_d': True}
        options['train'] |= {
            'optim_d': copy.deepcopy(options['train']['optim_g']),
            'gan_opt': dict(GAN_LOSS),
            'net_d_iters': 1,
            'net_d_init_iters': 0,
        }
    return options


def places(options: Mapping[str, Any], above: Place = ()) -> Iterator[Place]:
    """Yield the path of every key of a file, sections included, but the block's."""
    for key, value in options.items():
        if key != 'multigrid':
            yield (*above, key)
            if isinstance(value, Mapping):
                yield from places(value, (*above, key))


def changed(options: Mapping[str, Any], place: Place, value: Any) -> dict[str, Any]:
    """Return a copy of options with another value at a place; without the key for ABSENT."""
    copied: dict[str, Any] = copy.deepcopy(dict(options))
    target = copied
    for key in place[:-1]:
        target = target[key]
    if value is ABSENT:
        del target[place[-1]]
    else:
        target[place[-1]] = copy.deepcopy(value)
    return copied


ABSENT = object()

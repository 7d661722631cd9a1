"""BasicSR models to time: the host's own step, and the same model under a plan with one more option each time."""

from __future__ import annotations

import copy
import ctypes
import gc
import logging
import os
from pathlib import Path
from typing import Any

import torch

from mg_basicsr.config.resolve import resolve
from mg_basicsr.host.install import install
from mg_basicsr.host.run import Run, Specification, activate
from mg_basicsr.parsing.options_file import OptionsFile

SCALE = 4
RECURRENT = {
    'type': 'REDSRecurrentDataset', 'num_frame': 15, 'gt_size': 256, 'batch_size_per_gpu': 4,
    # never read: mini-batches are made here
    'dataroot_gt': 'none', 'dataroot_lq': 'none', 'meta_info_file': 'none', 'val_partition': 'REDS4',
    'io_backend': {'type': 'disk'}, 'use_hflip': True, 'use_rot': True,
}  # fmt: skip
# Networks, clips and shapes of the published recipes (options/); the demo's are those of mg_basicsr/demo/demo.yml.
NETWORKS: dict[str, dict[str, Any]] = {
    'demo': {
        'network_g': {'type': 'MultigridDemoNet', 'num_feat': 32, 'num_block': 1},
        'train_set': {**RECURRENT, 'num_frame': 8, 'gt_size': 192, 'batch_size_per_gpu': 3},
        'block': {'min_lq_size': 24, 'min_frames': 4},
    },
    'basicvsr': {
        'network_g': {'type': 'BasicVSR', 'num_feat': 64, 'num_block': 30, 'spynet_path': None},
        'train_set': RECURRENT,
    },
    'basicvsrpp': {
        'network_g': {'type': 'BasicVSRPlusPlus', 'mid_channels': 64, 'num_blocks': 7, 'spynet_path': None},
        'train_set': {**RECURRENT, 'num_frame': 30, 'batch_size_per_gpu': 1},
        'block': {'min_lq_size': 64},
    },
    'edvr-m': {
        'model_type': 'EDVRModel',
        'network_g': {
            'type': 'EDVR', 'num_feat': 64, 'num_frame': 5, 'deformable_groups': 8, 'num_extract_block': 5,
            'num_reconstruct_block': 10, 'with_tsa': True,
        },
        'train_set': {**RECURRENT, 'type': 'REDSDataset', 'num_frame': 5},
    },
}  # fmt: skip
OPTIONS = ('channels_last', 'fused_optimizer', 'compile', 'tf32')  # arms beside `basicsr` and `ours`

Shape = tuple[int, int, int]  # clips, frames, GT size


class Arm:
    """One way of taking a step, with a model of its own.

    Args:
        name: `basicsr`; `ours`: the same under a plan; or an option of the block that is then on as well.
        network: A key of NETWORKS.
        device: `cpu` or `cuda`.
    """

    def __init__(self, name: str, network: str, device: str) -> None:
        install()  # the hooks and shims: without an active run they are BasicSR's own functions
        logging.disable(logging.WARNING)
        from basicsr.models import build_model

        options = _options(network, device)
        self.name, self.device, self.iteration = name, device, 0
        self.run = None
        self.dataset = None  # as the loader of a run has one
        if name != 'basicsr':
            block = {'preset': 'lin2022', 'check': False, **NETWORKS[network].get('block', {})}
            if name != 'ours':
                block[name] = True
            file = OptionsFile(Path('step.yml'), (), {**options, 'multigrid': block})
            self.run = Run(Specification(file, resolve(file, 1)))
            self.run.deliver_with(self)
        activate(self.run)
        torch.manual_seed(0)
        self.model = build_model(copy.deepcopy(options))

    @property
    def delivered(self) -> int:
        """The 0-based iteration of the mini-batch, as the loader of a run says it."""
        return self.iteration - 1

    def step(self, batch: dict[str, torch.Tensor]) -> None:
        """One iteration as the train loop has it, data and logging aside; returns when the device has done it."""
        activate(self.run)
        torch.backends.cuda.matmul.allow_tf32 = self.name == 'tf32'  # a switch of the process, which all arms share
        self.iteration += 1
        self.model.update_learning_rate(self.iteration)
        self.model.feed_data(batch)
        self.model.optimize_parameters(self.iteration)
        if self.device == 'cuda':
            torch.cuda.synchronize()


def _options(network: str, device: str) -> dict[str, Any]:
    given = NETWORKS[network]
    return {
        'name': 'step', 'model_type': given.get('model_type', 'VideoRecurrentModel'), 'scale': SCALE,
        'num_gpu': int(device == 'cuda'), 'manual_seed': 0,
        'is_train': True, 'dist': False, 'rank': 0, 'world_size': 1, 'path': {},
        'datasets': {'train': dict(given['train_set'])}, 'network_g': dict(given['network_g']),
        'train': {
            'ema_decay': 0.999, 'total_iter': 300_000,
            'optim_g': {'type': 'Adam', 'lr': 2e-4, 'betas': [0.9, 0.99]},
            'scheduler': {'type': 'CosineAnnealingRestartLR', 'periods': [300_000], 'restart_weights': [1]},
            'pixel_opt': {'type': 'CharbonnierLoss', 'loss_weight': 1.0, 'reduction': 'mean'},
        },
    }  # fmt: skip


def planned_shapes(arm: Arm) -> list[Shape]:
    """Clips, frames and GT size of the plan's stages, each once, the full shape last."""
    assert arm.run is not None
    shapes = (stage.shape for stage in arm.run.plan.stages)
    return list(dict.fromkeys((shape.clips, shape.frames, shape.size) for shape in shapes))


def make_batch(network: str, shape: Shape, device: str) -> dict[str, torch.Tensor]:
    """A mini-batch of noise on the device; one GT frame for sliding windows."""
    clips, frames, size = shape
    generator = torch.Generator().manual_seed(0)
    window = NETWORKS[network]['train_set']['type'] == 'REDSDataset'
    gt_frames = () if window else (frames,)
    lq = torch.rand(clips, frames, 3, size // SCALE, size // SCALE, generator=generator)
    gt = torch.rand(clips, *gt_frames, 3, size, size, generator=generator)
    return {'lq': lq.to(device), 'gt': gt.to(device)}


def peak_memory(arm: Arm, batch: dict[str, torch.Tensor]) -> float | None:
    """MiB of one step at its peak: allocated on a GPU, weights and states included; on a CPU resident above rest."""
    if arm.device == 'cuda':
        torch.cuda.reset_peak_memory_stats()
        arm.step(batch)
        return torch.cuda.max_memory_allocated() / 2**20
    if not os.access('/proc/self/clear_refs', os.W_OK):  # Linux: begins a new high-water mark
        return None
    gc.collect()
    if hasattr(libc := ctypes.CDLL(None), 'malloc_trim'):  # what earlier steps have freed goes back to the system
        libc.malloc_trim(0)
    Path('/proc/self/clear_refs').write_text('5')
    rest = _status('VmRSS')
    arm.step(batch)
    return (_status('VmHWM') - rest) / 2**10


def _status(field: str) -> int:
    """A field of this process's /proc status in KiB."""
    for line in Path(f'/proc/{os.getpid()}/status').read_text().splitlines():
        if line.startswith(f'{field}:'):
            return int(line.split()[1])
    raise LookupError(field)

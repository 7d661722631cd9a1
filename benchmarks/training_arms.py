"""The set-ups and arms of training.py: one options file per set-up, and what each arm changes in it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from training_stock import ONE_THREAD, Stock

from mg_basicsr.parsing.yaml_text import parse_yaml

DEMO = Path(__file__).parents[1] / 'mg_basicsr/demo/demo.yml'
VALIDATIONS = 4  # of a run
Block = dict[str, Any]


@dataclass(frozen=True)
class Arm:
    """A way of training the set-up's file.

    Attributes:
        block: The `multigrid:` block for a file of so many iterations; None: BasicSR's own loop.
        environment: Variables of the process.
    """

    block: Callable[[int], Block] | None
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Setup:
    """What is trained: the demo's options file with these changes.

    Attributes:
        device: `cpu` or `cuda`.
        network: `network_g`.
        train_set: Changes of `datasets.train`.
        train: Changes of `train`.
        arms: By name; the first is the reference.
        model_type: BasicSR's.
    """

    device: str
    network: Mapping[str, Any]
    train_set: Mapping[str, Any]
    train: Mapping[str, Any]
    arms: Mapping[str, Arm]
    model_type: str = 'VideoRecurrentModel'

    def options(
        self, name: str, arm: Arm, seed: int, length: int, *, stock: Stock | None = None, validate: bool = True,
        network: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """The options of a run, with paths relative to the folder of the data.

        Args:
            name: Of the experiment.
            arm: Its block.
            seed: `manual_seed`.
            length: `train.total_iter`, and the period of the cosine.
            stock: How BasicSR's own loop reads the clips.
            validate: Whether there are validations.
            network: Another `network_g`.
        """
        options = parse_yaml(DEMO.read_text(encoding='utf-8'))
        del options['multigrid']
        options.update(name=name, manual_seed=seed, model_type=self.model_type, num_gpu=int(self.device == 'cuda'))
        options['network_g'] = dict(network or self.network)
        for side, section in options['datasets'].items():
            section.update(dataroot_gt=f'{side}/GT', dataroot_lq=f'{side}/LQ')
        train_set = options['datasets']['train']
        train_set.update(meta_info_file='train/meta_info.txt', **self.train_set, **(stock.train_set if stock else {}))
        options['train'].update(copy.deepcopy(dict(self.train)), total_iter=length, warmup_iter=length // 20)
        options['train']['scheduler']['periods'] = [length]
        options['val']['val_freq'] = length // VALIDATIONS
        options['logger'].update(print_freq=max(1, length // 40), save_checkpoint_freq=10**9)
        if not validate:
            del options['val'], options['datasets']['val']
        if arm.block is not None:
            options['multigrid'] = arm.block(length)
        return options

    def write(self, root: Path, name: str, *arguments: Any, **more: Any) -> Path:
        """The options file of a run in `root`; arguments as those of `options`."""
        path = root / f'{name}.yml'
        path.write_text(yaml.safe_dump(self.options(name, *arguments, **more), sort_keys=False), encoding='utf-8')
        return path


STORE = {'store': 'store'}
SMALL = {'min_lq_size': 24, 'min_frames': 4}  # of the demo's network
STEP = {'fused_optimizer': True, 'channels_last': True}


def lin2022(**more: Any) -> Callable[[int], Block]:
    """The published curriculum, and more keys of the block."""
    return lambda total: {'preset': 'lin2022', **more}


def full_shape(lr: float) -> Callable[[int], Block]:
    """The file's own shape and cosine, read from the store."""

    def block(length: int) -> Block:
        stage = {'iters': length, 'lr': [lr, 1e-7, f'cosine {length}']}
        return {'preset': 'stages', **STORE, 'warmup_iter': length // 20, 'stages': [stage]}

    return block


def preset(name: str, **more: Any) -> Callable[[int], Block]:
    """A preset, the store, and more keys of the block."""
    return lambda _: {'preset': name, **STORE, **more}


ADAM = {'type': 'Adam', 'weight_decay': 0, 'betas': [0.9, 0.99]}
DEMO_LR = 2e-3
STOCK = 'stock'
CPU = Setup(
    device='cpu',
    network={'type': 'MultigridDemoNet', 'num_feat': 32, 'num_block': 1},
    train_set={'num_frame': 8, 'gt_size': 192, 'batch_size_per_gpu': 3, 'num_worker_per_gpu': 1},
    train={'optim_g': {**ADAM, 'lr': DEMO_LR}},
    arms={
        STOCK: Arm(None),
        'store': Arm(full_shape(DEMO_LR), ONE_THREAD),
        'lin2022': Arm(preset('lin2022', **SMALL), ONE_THREAD),
        'short_clips': Arm(preset('short_clips'), ONE_THREAD),
    },
)
BASICVSR = Setup(
    device='cpu',
    network={'type': 'BasicVSR', 'num_feat': 16, 'num_block': 2, 'spynet_path': None},
    train_set={'num_frame': 6, 'gt_size': 256, 'batch_size_per_gpu': 2, 'num_worker_per_gpu': 1},
    train={'optim_g': {**ADAM, 'lr': 1e-3}},
    arms={
        STOCK: Arm(None),
        'store': Arm(full_shape(1e-3), ONE_THREAD),
        'lin2022': Arm(preset('lin2022', min_frames=3), ONE_THREAD),
        'short_clips': Arm(preset('short_clips'), ONE_THREAD),
    },
)
BASICVSR_GPU = Setup(
    device='cuda',
    network={'type': 'BasicVSR', 'num_feat': 64, 'num_block': 10, 'spynet_path': None},
    train_set={'num_frame': 15, 'gt_size': 256, 'batch_size_per_gpu': 8, 'num_worker_per_gpu': 12},
    train={'optim_g': {**ADAM, 'lr': 2e-4}},
    arms={
        STOCK: Arm(None),
        'store': Arm(full_shape(2e-4)),
        'lin2022': Arm(preset('lin2022')),
        'short_clips': Arm(preset('short_clips')),
        'short_clips, bfloat16': Arm(preset('short_clips', **STEP, precision='bfloat16', tf32=True)),
    },
)
SETUPS = {'cpu': CPU, 'basicvsr_cpu': BASICVSR, 'basicvsr': BASICVSR_GPU}
SWEEP = {
    f'{features} features, {blocks} blocks': {**CPU.network, 'num_feat': features, 'num_block': blocks}
    for features, blocks in ((8, 1), (16, 1), (32, 1), (48, 2), (64, 2))
}

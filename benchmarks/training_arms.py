"""The set-ups and arms of training.py: one options file per set-up, and what each arm changes in it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from mg_basicsr.parsing.yaml_text import parse_yaml

DEMO = Path(__file__).parents[1] / 'mg_basicsr/demo/demo.yml'
VALIDATIONS = 20  # of a run
Block = dict[str, Any]


@dataclass(frozen=True)
class Arm:
    """A way of training the set-up's file.

    Attributes:
        block: The `multigrid:` block for a file of so many iterations; None: BasicSR as it is.
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
        train: Changes of `train`; its `total_iter` is also the period of the cosine.
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
        self, name: str, arm: Arm, seed: int, short: int | None = None, network: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The options of a run, with paths relative to the folder of the data.

        Args:
            name: Of the experiment.
            arm: Its block.
            seed: `manual_seed`.
            short: A run of as many iterations, without validation.
            network: Another `network_g`.
        """
        options = parse_yaml(DEMO.read_text(encoding='utf-8'))
        del options['multigrid']
        total = short or self.train['total_iter']
        options.update(name=name, manual_seed=seed, model_type=self.model_type, num_gpu=int(self.device == 'cuda'))
        options['network_g'] = dict(network or self.network)
        for side, section in options['datasets'].items():
            section.update(dataroot_gt=f'{side}/GT', dataroot_lq=f'{side}/LQ')
        options['datasets']['train'].update(meta_info_file='train/meta_info.txt', **self.train_set)
        options['train'].update(copy.deepcopy(dict(self.train)), total_iter=total)
        options['train']['scheduler']['periods'] = [total]
        block = arm.block(total) if arm.block else None
        iterations = sum(stage['iters'] for stage in (block or {}).get('stages', [])) or total
        options['val']['val_freq'] = iterations // VALIDATIONS
        options['logger'].update(print_freq=max(1, total // 40), save_checkpoint_freq=10**9)
        if short:
            del options['val'], options['datasets']['val']
        if block is not None:
            options['multigrid'] = block
        return options

    def write(self, root: Path, name: str, arm: Arm, *arguments: Any) -> Path:
        """The options file of a run in `root`; arguments as those of `options`."""
        path = root / f'{name}.yml'
        path.write_text(yaml.safe_dump(self.options(name, arm, *arguments), sort_keys=False), encoding='utf-8')
        return path


STORE = {'store': 'store'}
SMALL = {'min_lq_size': 24, 'min_frames': 4}  # of the demo's network
STEP = {'fused_optimizer': True, 'channels_last': True}


def lin2022(**more: Any) -> Callable[[int], Block]:
    """The published curriculum, and more keys of the block."""
    return lambda total: {'preset': 'lin2022', **more}


def full_shape(lr: float, share: float = 1.0) -> Callable[[int], Block]:
    """The file's own shape and cosine, read from the store, over a share of the file's iterations, a
    twentieth of them warm-up.
    """

    def block(total: int) -> Block:
        iters = round(share * total)
        stage = {'iters': iters, 'lr': [lr, 1e-7, f'cosine {iters}']}
        return {'preset': 'stages', **STORE, 'warmup_iter': max(1, iters // 20), 'stages': [stage]}

    return block


def small_steps(stages: list[tuple[float, int, int]], lr: float, warmup: int) -> Callable[[int], Block]:
    """Many iterations of small shapes under one straight line down to zero, the last stage at the full shape.

    Args:
        stages: (iterations as a share of the file's, frames, GT size), the last the file's shape.
        lr: At the start.
        warmup: Iterations of warm-up.
    """

    def block(total: int) -> Block:
        iters = [max(1, round(share * total)) for share, _, _ in stages]
        entries, done = [], 0
        for count, (_, frames, size) in zip(iters, stages, strict=True):
            first, last = (lr * (1 - at / sum(iters)) for at in (done, done + count))
            curve = [first, max(last, 1e-7), f'linear {count}']
            entries.append({'iters': count, 'frames': frames, 'gt_size': size, 'lr': curve})
            done += count
        return {'preset': 'stages', 'warmup_iter': warmup, 'stages': entries, **STORE, **STEP}

    return block


ADAM = {'type': 'Adam', 'weight_decay': 0, 'betas': [0.9, 0.99]}
DEMO_LR = 2e-3
CPU = Setup(
    device='cpu',
    network={'type': 'MultigridDemoNet', 'num_feat': 32, 'num_block': 1},
    train_set={'num_frame': 8, 'gt_size': 192, 'batch_size_per_gpu': 3, 'num_worker_per_gpu': 1},
    train={'total_iter': 400, 'warmup_iter': 20, 'optim_g': {**ADAM, 'lr': DEMO_LR}},
    arms={
        'stock': Arm(None),
        'stock, 1 thread': Arm(None, {'OMP_NUM_THREADS': '1'}),
        'curriculum': Arm(lin2022(**SMALL)),
        'store': Arm(full_shape(DEMO_LR)),
        'store, a quarter of the iterations': Arm(full_shape(DEMO_LR, 0.25)),
        'curriculum + store': Arm(lin2022(**SMALL, **STORE)),
        'curriculum + store + step': Arm(lin2022(**SMALL, **STORE, **STEP)),
        'curriculum + store + large batch': Arm(lin2022(**SMALL, **STORE, base_batch_size=3, batch_size=6)),
        'all': Arm(small_steps([(2.0, 2, 96), (1.2, 3, 96), (0.01, 8, 192)], DEMO_LR, 20)),
    },
)
BASICVSR = Setup(
    device='cuda',
    network={'type': 'BasicVSR', 'num_feat': 64, 'num_block': 10, 'spynet_path': None},
    train_set={'num_frame': 15, 'gt_size': 256, 'batch_size_per_gpu': 8, 'num_worker_per_gpu': 12},
    train={'total_iter': 600, 'warmup_iter': 30, 'optim_g': {**ADAM, 'lr': 2e-4}},
    arms={
        'stock': Arm(None),
        'curriculum': Arm(lin2022()),
        'store': Arm(full_shape(2e-4)),
        'curriculum + store': Arm(lin2022(**STORE)),
        'curriculum + store + step': Arm(lin2022(**STORE, **STEP, precision='bfloat16', tf32=True)),
        'all': Arm(lin2022(**STORE, **STEP, precision='bfloat16', tf32=True, base_batch_size=8, batch_size=16)),
    },
)
SETUPS = {'cpu': CPU, 'basicvsr': BASICVSR}
SWEPT = ('stock', 'stock, 1 thread', 'curriculum', 'curriculum + store')  # arms that meet networks of several sizes
SWEEP = {
    label: {**CPU.network, 'num_feat': features, 'num_block': blocks}
    for label, features, blocks in (('8 features', 8, 1), ('32 features', 32, 1), ('48 features, 2 blocks', 48, 2))
}
PREDICTED = 'curriculum + store'
SHOWN = ('stock', 'stock, 1 thread', 'store', 'curriculum + store', 'all')  # curves of the figure

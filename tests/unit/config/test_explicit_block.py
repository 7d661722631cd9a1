"""`plan --yaml`: the block as text."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from mg_basicsr.config.explicit_block import explicit_block
from tests.helpers.stock_options import PAPER, resolved, stock


def printed(options: dict[str, Any]) -> str:
    return explicit_block(options['multigrid'], resolved(options))


def test_the_papers_run() -> None:
    assert printed(stock(block=PAPER)) == (
        'multigrid:\n'
        '  preset: stages\n'
        '  base_batch_size: 16\n'
        '  warmup_iter: 5000\n'
        '  stages:\n'
        '  - {iters: 12500, frames: 7, gt_size: 128, clips: 64, lr: [0.0008, 1.0e-07, cosine 75000]}\n'
        '  - {iters: 12500, frames: 11, gt_size: 128, clips: 64, lr: [0.0008, 1.0e-07, cosine 75000]}\n'
        '  - {iters: 12500, frames: 15, gt_size: 128, clips: 64, lr: [0.0008, 1.0e-07, cosine 75000]}\n'
        '  - {iters: 12500, frames: 7, gt_size: 256, clips: 64, lr: [0.0008, 1.0e-07, cosine 75000]}\n'
        '  - {iters: 12500, frames: 11, gt_size: 256, clips: 64, lr: [0.0008, 1.0e-07, cosine 75000]}\n'
        '  - {iters: 12500, frames: 15, gt_size: 256, clips: 64, lr: [0.0008, 1.0e-07, cosine 12500]}\n'
    )


def test_other_keys_of_the_block_are_kept() -> None:
    block = PAPER | {'max_clips': 2, 'uint8_transfer': False, 'precision': 'float32', 'temporal': [1.0]}
    text = yaml.safe_load(printed(stock(block=block)))['multigrid']
    assert {key: text[key] for key in ('max_clips', 'uint8_transfer', 'precision')} == {
        'max_clips': 2,
        'uint8_transfer': False,
        'precision': 'float32',
    }
    assert 'temporal' not in text


def test_a_short_cycle_and_the_halves_of_fine_tuning() -> None:
    block = {'preset': 'wu2020', 'finetune': True, 'long_cycle': False, 'lr_steps': [200_000], 'warmup_iter': 0}
    assert printed(stock(block=block)) == (
        'multigrid:\n'
        '  preset: stages\n'
        '  base_batch_size: 16\n'
        '  warmup_iter: 0\n'
        '  temporal_stride: true\n'
        '  stages:\n'
        '  - {iters: 128571, short_cycle: [[64, 15, 128], [32, 15, 176], [16, 15, 256]], lr: [0.0002, 0.0, constant]}\n'
        '  - {iters: 64286, short_cycle: [[64, 15, 128], [32, 15, 176], [16, 15, 256]], '
        'lr: [0.0002, 0.0, step 32143 0.1]}\n'
    )


def test_lists_print_what_a_pass_may_hold() -> None:
    """The default of progressive is not that of explicit stages."""
    lists = {'gt_sizes': [128, 256], 'mini_batch_sizes': [40, 2], 'iters': [2, 1]}
    assert '  max_clips: 10\n' in printed(stock(block={'preset': 'progressive', **lists}))


@pytest.mark.parametrize('lr', [2e-4, 1e-5, 1e-16, 3.0, 1.25e20, 0.1 + 0.2])
def test_floats_survive_yaml_to_the_bit(lr: float) -> None:
    entry = yaml.safe_load(printed(stock(block={'preset': 'lin2022'}, changes={'train.optim_g.lr': lr})))
    assert entry['multigrid']['stages'][0]['lr'][0] == lr

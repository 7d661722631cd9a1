"""`plan --yaml`: the block as text."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from mg_basicsr.config.explicit_block import explicit_block
from tests.helpers.stock_options import PAPER, described, resolved, stock


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


def test_explicit_stages() -> None:
    """Absent values are the baseline's; rates are taken as they stand, without warm-up."""
    block = {
        'preset': 'stages',
        'stages': [
            {'iters': 100, 'frames': 7, 'gt_size': 128, 'clips': 32, 'lr': [1e-3, 1e-5, 'linear']},
            {'iters': 50, 'lr': [1e-4, 0, 'constant']},
            {'iters': 5950},
        ],
    }
    plan = described(stock(block=block, changes={'train.warmup_iter': 1000}))
    first, second, third = plan['stages']
    assert [(s['start'], s['iters'], s['clips'], s['frames'], s['gt_size']) for s in plan['stages']] == [
        (0, 100, 32, 7, 128),
        (100, 50, 16, 15, 256),
        (150, 5950, 16, 15, 256),
    ]
    assert first['lr'] == pytest.approx([1e-3, 1e-5 + (1e-3 - 1e-5) / 100])
    assert second['lr'] == pytest.approx([1e-4, 1e-4])
    assert third['lr'] == pytest.approx([2e-4, 1e-7], rel=1e-3)


def test_explicit_stages_are_warmed_up_on_request() -> None:
    block = {'preset': 'stages', 'warmup_iter': 10, 'stages': [{'iters': 9000, 'lr': [1e-3, 0, 'constant']}]}
    plan = resolved(stock(block=block)).plan
    assert [plan(i).rate(2e-4) for i in (0, 4, 9, 500)] == pytest.approx([1e-4, 5e-4, 1e-3, 1e-3])

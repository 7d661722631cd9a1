"""Options that change training are recorded, and what was edited is listed with old and new."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from mg_basicsr.config.option_record import MOST, Record, option_changes, option_record
from mg_basicsr.config.read_block import read_block
from mg_basicsr.parsing.problems import Problems
from tests.helpers.stock_options import stock

OPTIONS = stock(block={'preset': 'lin2022'})
OPTIONS['train'] |= {'ema_decay': 0.999, 'pixel_opt': {'type': 'CharbonnierLoss', 'loss_weight': 1.0}}


def record_of(options: dict[str, Any]) -> Record:
    block = read_block(options['multigrid'], Problems())
    assert block is not None
    return option_record(options, block)


@pytest.mark.parametrize(
    ('path', 'value', 'told'),
    [
        ('datasets.train.use_hflip', False, 'datasets.train.use_hflip True -> False'),
        ('train.pixel_opt.type', 'L1Loss', 'train.pixel_opt.type CharbonnierLoss -> L1Loss'),
        ('train.pixel_opt.loss_weight', 0.5, 'train.pixel_opt.loss_weight 1 -> 0.5'),
        ('train.ema_decay', 0.9, 'train.ema_decay 0.999 -> 0.9'),
        ('train.optim_g.betas', [0.5, 0.9], 'train.optim_g.betas none -> [0.5, 0.9]'),
        ('train.optim_g.type', 'AdamW', 'train.optim_g.type Adam -> AdamW'),
        ('train.new', 'x', 'train.new none -> x'),
        ('network_g.num_feat', 3, 'network_g.num_feat'),
        ('multigrid.precision', 'bfloat16', 'multigrid.precision float32 -> bfloat16'),
        ('multigrid.sub_batch_norm', 4, 'multigrid.sub_batch_norm none -> 4'),
        ('multigrid.precision', 'float32', None),  # the default, written out
        ('multigrid.store', 'elsewhere', None),
        ('datasets.train.num_worker_per_gpu', 9, None),
        ('logger.print_freq', 7, None),
        ('val.val_freq', 7, None),
        ('path.resume_state', 'x', None),
        ('name', 'other', None),
        ('num_gpu', 2, None),
    ],
)
def test_what_is_said_of_an_edit(path: str, value: object, told: str | None) -> None:
    edited = copy.deepcopy(OPTIONS)
    *sections, key = path.split('.')
    section: Any = edited
    for name in sections:
        section = section.setdefault(name, {})
    section[key] = value
    changes = option_changes(json.loads(json.dumps(record_of(OPTIONS))), record_of(edited))
    assert len(changes) == (told is not None)
    if told is not None:
        assert changes[0].startswith(told)


def test_keys_of_another_version_are_passed_over() -> None:
    record = record_of(OPTIONS)
    assert option_changes({**record, 'multigrid.of_later': 3}, record) == []
    assert option_changes(record, {**record, 'multigrid.of_later': 3}) == []


def test_the_list_is_short() -> None:
    changes = option_changes({f'train.{n}': n for n in range(90)}, {})
    assert len(changes) == MOST + 1 and changes[-1] == 'and 70 more options'

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
OPTIONS['train'] |= {'more': [{'type': 'A', 'weight': 1}, {'type': 'B', 'weight': 2}], 'deep': {'a': {'b': {'c': 1}}}}
OPTIONS['train'] |= {'long': 'x' * 300 + 'y', 'flag': 'True', 'whole': 1}
OPTIONS['degradation'] = {'noise': 2}
DELETED = 'deleted'


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
        ('train.ema_decay', DELETED, 'train.ema_decay 0.999 -> none'),
        (
            'train.pixel_opt',
            DELETED,
            'train.pixel_opt.loss_weight 1 -> none; train.pixel_opt.type CharbonnierLoss -> none',
        ),
        ('train.ema_decay', 0.9990001, 'train.ema_decay 0.999 -> 0.9990001'),
        ('train.more.0.weight', 3, 'train.more.0.weight 1 -> 3'),
        ('train.more.1', DELETED, 'train.more.1.type B -> none; train.more.1.weight 2 -> none'),
        ('train.deep.a.b.c', 2, 'train.deep.a.b.c 1 -> 2'),
        ('train.long', 'x' * 300 + 'z', 'train.long xxx'),
        ('train.flag', True, "train.flag 'True' -> True"),
        ('model_type', 'Other', 'model_type VideoRecurrentModel -> Other'),
        ('scale', 2, 'scale 4 -> 2'),
        ('gt_usm', True, 'gt_usm none -> True'),
        ('degradation.noise', 3, 'degradation.noise 2 -> 3'),
        ('datasets.train.type', 'MyDataset', 'datasets.train.type'),
        ('datasets.train.new.a', 1, 'datasets.train.new.a none -> 1'),
        ('network_d.type', 'VGG', 'network_d.type none -> VGG'),
        ('multigrid.adapter', {'time': ['flow']}, 'multigrid.adapter none -> AdapterRules(time=('),
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
        ('datasets.train.dataroot_lq', '/moved', None),
        ('datasets.train.dataset_enlarge_ratio', 9, None),
        ('datasets.val.num_frame', 9, None),
        ('datasets.val_2.type', 'X', None),
        ('logger.wandb.project', 'x', None),
        ('dist_params.port', 1, None),
        ('find_unused_parameters', True, None),
        ('multigrid.max_clips', 3, None),
        ('multigrid.keep_last', 3, None),
        ('train.whole', 1.0, None),  # 1
    ],
)
def test_what_is_said_of_an_edit(path: str, value: object, told: str | None) -> None:
    edited = copy.deepcopy(OPTIONS)
    *sections, key = path.split('.')
    section: Any = edited
    for name in sections:
        section = section[int(name)] if isinstance(section, list) else section.setdefault(name, {})
    place = int(key) if isinstance(section, list) else key
    if value == DELETED:
        del section[place]
    else:
        section[place] = value
    changes = option_changes(json.loads(json.dumps(record_of(OPTIONS))), record_of(edited))
    assert '; '.join(changes).startswith(told or '')
    assert len(changes) == (told.count('; ') + 1 if told else 0)


def test_keys_of_another_version_are_passed_over() -> None:
    record = record_of(OPTIONS)
    assert option_changes({**record, 'multigrid.of_later': 3}, record) == []
    assert option_changes(record, {**record, 'multigrid.of_later': 3}) == []


def test_a_record_of_an_earlier_version_is_compared_in_its_sections() -> None:
    """It has no other keys of the file's top."""
    record = record_of(OPTIONS)
    earlier = {
        name: value for name, value in record.items() if name.startswith(('datasets.train.', 'train.', 'network_'))
    }
    assert option_changes(earlier, record) == []
    assert option_changes({**earlier, 'train.gone': 1}, record) == ['train.gone 1 -> none']


def test_the_list_is_short() -> None:
    changes = option_changes({f'train.{n}': n for n in range(90)}, {})
    assert len(changes) == MOST + 1 and changes[-1] == 'and 70 more options'

"""The `datasets.train` block."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from mg_basicsr.errors import ConfigError
from mg_basicsr.train_set import TrainSetOptions
from tests.helpers.frame_sets import block

MINIMAL = {
    'dataroot_gt': 'gt', 'dataroot_lq': 'lq', 'gt_size': 64, 'use_hflip': True, 'use_rot': False,
    'io_backend': {'type': 'disk'},
}  # fmt: skip


def test_defaults_are_basicsrs() -> None:
    options = TrainSetOptions.parse(MINIMAL, 4)
    assert options == TrainSetOptions('gt', 'lq', 64, 4, True, False)
    assert (options.interval_list, options.random_reverse, options.filename_tmpl) == ((1,), False, '{}')


def test_everything_is_read() -> None:
    options = TrainSetOptions.parse(
        block(Path('set'), interval_list=[1, 2], random_reverse=True, dataroot_flow='flow', num_frame=-1, mean=[0, 1]),
        2,
    )
    assert (options.interval_list, options.random_reverse, options.dataroot_flow) == ((1, 2), True, 'flow')
    assert (options.num_frame, options.scale, options.mean) == (None, 2, (0, 1))


def test_lmdb_options_that_basicsr_has_touched() -> None:
    """Its datasets put paths and names into the block's own dictionary."""
    backend = {'type': 'lmdb', 'db_paths': [Path('lq')], 'client_keys': ['lq']}
    assert TrainSetOptions.parse({**MINIMAL, 'io_backend': backend}, 4).backend == 'lmdb'


def test_home_is_expanded_in_roots() -> None:
    assert '~' not in TrainSetOptions.parse({**MINIMAL, 'dataroot_gt': '~/gt'}, 4).dataroot_gt


def test_it_can_be_pickled() -> None:
    options = TrainSetOptions.parse(MINIMAL, 4)
    assert pickle.loads(pickle.dumps(options)) == options


@pytest.mark.parametrize(
    ('change', 'told'),
    [
        ({'dataroot_gt': None}, 'datasets.train.dataroot_gt: missing'),
        ({'dataroot_lq': 3}, 'datasets.train.dataroot_lq: 3'),
        ({'dataroot_lq': ''}, "datasets.train.dataroot_lq: ''"),
        ({'dataroot_flow': 3}, 'datasets.train.dataroot_flow: 3'),
        ({'io_backend': {'type': 'memcached'}}, "datasets.train.io_backend.type: 'memcached'"),
        ({'io_backend': None}, 'datasets.train.io_backend.type: missing'),
        ({'gt_size': 0}, 'datasets.train.gt_size: 0'),
        ({'gt_size': '64'}, "datasets.train.gt_size: '64'"),
        ({'gt_size': True}, 'datasets.train.gt_size: true'),
        ({'gt_size': None}, 'datasets.train.gt_size: missing'),
        ({'gt_size': 66}, 'datasets.train.gt_size: 66 is not a multiple of scale: 4'),
        ({'num_frame': 0}, 'datasets.train.num_frame: 0'),
        ({'num_frame': True}, 'datasets.train.num_frame: true'),
        ({'num_frame': 2.5}, 'datasets.train.num_frame: 2.5'),
        ({'interval_list': []}, 'datasets.train.interval_list: []'),
        ({'interval_list': [1, 0]}, 'datasets.train.interval_list: [1, 0]'),
        ({'interval_list': 2}, 'datasets.train.interval_list: 2'),
        ({'random_reverse': 1}, 'datasets.train.random_reverse: 1'),
        ({'use_hflip': None}, 'datasets.train.use_hflip: missing'),
        ({'use_rot': 'yes'}, "datasets.train.use_rot: 'yes'"),
        ({'filename_tmpl': '{}{}'}, "datasets.train.filename_tmpl: '{}{}'"),
        ({'filename_tmpl': '{'}, "datasets.train.filename_tmpl: '{'"),
        ({'mean': 'x'}, "datasets.train.mean: 'x'"),
    ],
)
def test_errors_name_option_and_value(change: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as error:
        TrainSetOptions.parse({**MINIMAL, **change}, 4)
    (problem,) = error.value.problems
    assert str(problem).startswith(told)
    assert problem.allowed.startswith('allowed: ')
    assert problem.remedy


@pytest.mark.parametrize('scale', [None, 0, 'x'])
def test_scale_is_a_top_level_option(scale: object) -> None:
    with pytest.raises(ConfigError, match=r'^scale'):
        TrainSetOptions.parse(MINIMAL, scale)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as error:
        TrainSetOptions.parse({'gt_size': -1}, 4)
    told = ' '.join(str(problem) for problem in error.value.problems)
    for key in ('dataroot_gt', 'dataroot_lq', 'gt_size', 'use_hflip', 'use_rot', 'io_backend.type'):
        assert f'datasets.train.{key}' in told

"""Options of the training set."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from mg_basicsr.errors import ConfigError
from mg_basicsr.train_set import TrainSet, TrainSetOptions, train_set_of
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
        ({'gt_size': 64.0}, 'datasets.train.gt_size: 64.0'),
        ({'io_backend': 'disk'}, "datasets.train.io_backend: 'disk' is not a section"),
        ({'io_backend': {'type': 'store'}}, 'datasets.train.io_backend.path: missing'),
        ({'interval_list': [1.0]}, 'datasets.train.interval_list: [1.0]'),
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
        ({'filename_tmpl': '{.x}'}, "datasets.train.filename_tmpl: '{.x}'"),
        ({'mean': 'x'}, "datasets.train.mean: 'x'"),
    ],
)
def test_errors_name_option_and_value(change: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as error:
        TrainSetOptions.parse({**MINIMAL, **change}, 4)
    (problem,) = error.value.problems
    assert str(problem).startswith(told)
    assert problem.allowed.startswith(('allowed: ', 'needed: '))
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


def of(**changes: Any) -> TrainSet:
    return train_set_of({'scale': 4, 'datasets': {'train': block(Path('set'), **changes)}})


@pytest.mark.parametrize(
    ('changes', 'frames', 'mirrored', 'sliding_window'),
    [
        ({'type': 'REDSRecurrentDataset'}, 5, False, False),
        ({'type': 'REDSRecurrentDataset', 'flip_sequence': True}, 5, False, False),  # has no such option
        ({'type': 'REDSDataset'}, 5, False, True),
        ({'type': 'Vimeo90KRecurrentDataset', 'num_frame': -1}, 7, False, False),
        ({'type': 'Vimeo90KRecurrentDataset', 'num_frame': None, 'flip_sequence': True}, 14, True, False),
        ({'type': 'Vimeo90KRecurrentDataset', 'num_frame': 4, 'flip_sequence': True}, 8, True, False),
        ({'type': 'Vimeo90KRecurrentDataset', 'num_frame': 15}, 7, False, False),  # BasicSR takes all seven
        ({'type': 'Vimeo90KRecurrentDataset', 'num_frame': 15, 'flip_sequence': True}, 14, True, False),
        ({'type': 'MultigridVimeo90KDataset', 'num_frame': 8}, 7, False, False),
        ({'type': 'Vimeo90KDataset', 'flip_sequence': True}, 5, False, True),
        ({'type': 'MultigridVimeo90KDataset', 'recurrent': None, 'num_frame': -1}, 7, False, False),
        ({'type': 'MultigridVimeo90KDataset', 'recurrent': False, 'num_frame': -1}, 7, False, True),
        ({'type': 'PairedImageDataset', 'num_frame': 'any'}, 1, False, False),
        ({'type': 'PairedImageDataset', 'color': 'y'}, 1, False, False),
        ({'type': 'TheirDataset'}, 5, False, False),
        ({'type': 'TheirDataset', 'num_frame': None}, 1, False, False),
        ({'type': 'MultigridDataset', 'base_type': 'REDSDataset', 'num_frame': 4}, 4, False, True),
        ({'type': 'MultigridDataset', 'base_type': 'Vimeo90KRecurrentDataset', 'flip_sequence': True}, 10, True, False),
    ],
)
def test_clips_of_each_type(changes: dict[str, Any], frames: int, mirrored: bool, sliding_window: bool) -> None:
    train_set = of(**changes)
    assert (train_set.frames, train_set.mirrored, train_set.sliding_window) == (frames, mirrored, sliding_window)
    ours = changes['type'] not in ('TheirDataset', 'MultigridDataset') and 'color' not in changes
    assert (train_set.options is not None) == ours


@pytest.mark.parametrize(
    ('changes', 'told'),
    [
        ({'type': 'REDSRecurrentDataset', 'num_frame': -1}, 'datasets.train.num_frame: -1'),
        ({'type': 'REDSRecurrentDataset', 'val_partition': 'x'}, "datasets.train.val_partition: 'x'"),
        ({'type': 'REDSRecurrentDataset', 'meta_info_file': None}, 'datasets.train.meta_info_file: missing'),
        ({'type': 'REDSDataset', 'num_frame': 4}, 'datasets.train.num_frame: a sliding window of 4 frames'),
        ({'type': 'Vimeo90KDataset', 'num_frame': 9}, 'datasets.train.num_frame: 9'),
        ({'type': 'Vimeo90KDataset', 'meta_info_file': None}, 'datasets.train.meta_info_file: missing'),
        ({'type': 'MultigridREDSDataset', 'recurrent': 'no'}, "datasets.train.recurrent: 'no'"),
        ({'type': 'MultigridDataset'}, 'datasets.train.base_type: missing'),
        ({'type': 'PairedImageDataset', 'io_backend': {'type': 'lmdb'}, 'dataroot_gt': 'a.lmdb'},
         'datasets.train.dataroot_lq: set/LQ is not named like an LMDB'),
        ({'type': 'TheirDataset', 'num_frame': 0}, 'datasets.train.num_frame: 0'),
    ],
)  # fmt: skip
def test_what_a_type_needs(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as error:
        of(**changes)
    (problem,) = error.value.problems
    assert str(problem).startswith(told)


def test_of_their_own_types_no_more_is_read_than_a_plan_needs() -> None:
    section = {'type': 'TheirDataset', 'gt_size': 64, 'use_hflip': 'sometimes', 'io_backend': 'theirs'}
    train_set = train_set_of({'datasets': {'train': section}})
    assert (train_set.gt_size, train_set.scale, train_set.frames, train_set.options) == (64, 1, 1, None)


@pytest.mark.parametrize('scale', [{}, {'scale': None}])
def test_the_scale_is_1_unless_the_file_says_it(scale: dict[str, Any]) -> None:
    assert train_set_of({**scale, 'datasets': {'train': block(Path('set'), type='REDSDataset')}}).scale == 1

"""Options files broken at random: `plan`, `check`, `train` and `prepare` accept the same ones, for the same reasons.

The data is there and fits the unbroken file, so that a file is refused for its options alone. What the data itself may
say (a clip that is too short) is a DataError and no matter of the options.
"""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mg_basicsr.config.resolve import default_world_size, resolve
from mg_basicsr.errors import ConfigError, DataError
from mg_basicsr.host.data.planned_data import resolve_with_data
from mg_basicsr.host.store_inputs import training_set
from mg_basicsr.parsing.options_file import OptionsFile
from tests.helpers.frame_sets import block, lmdb_block, picture, to_lmdb, write_pair, write_reds, write_vimeo
from tests.helpers.stock_options import stock

Options = dict[str, Any]

# fmt: off
VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 2, 3, 4, 5, 6, 8, 10**30, -1.0, 0.5, 4.0, 5.0, 16.0, float('nan'), float('inf'),
    '', '4', '2e-4', '{}', '{}{}', 'disk', 'lmdb', 'cpu', 'REDS4', 'bicubic', 'bd', 'lin2022', 'wu2020', 'official',
    'REDSDataset', 'REDSRecurrentDataset', 'Vimeo90KDataset', 'Vimeo90KRecurrentDataset', 'PairedImageDataset',
    'MultigridREDSDataset', 'MultigridVimeo90KDataset', 'MultigridDataset', 'TheirDataset',
    [], [1], [1, 2], [1.0], [0], ['1'], [0.5, 1.0], [None], {}, {'type': 'disk'}, {'type': 'memcached'}, {'a': 1},
]
# fmt: on
# Keys that are put into a file which lacks them, by section.
MORE_KEYS = {
    'datasets.train': [
        'recurrent',
        'base_type',
        'flip_sequence',
        'filename_tmpl',
        'color',
        'mean',
        'std',
        'gt_sizes',
        'val_partition',
        'interval_list',
        'num_frame',
        'dataroot_flow',
        'meta_info_file',
        'prefetch_mode',
        'test_mode',
    ],
    'multigrid': [
        'temporal',
        'spatial',
        'temporal_stride',
        'spatial_stride',
        'degradation',
        'batch_size',
        'base_batch_size',
        'min_frames',
        'lr_schedule',
        'presett',
    ],
}
# What only the data can say of a path that an option gives.
OF_DATA = re.compile('is not a folder|is not an LMDB folder|cannot be listed|does not exist|has no .. image')


@pytest.fixture(autouse=True)
def released_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    """BasicSR's own classes behind its names, whatever other tests have registered in this process."""
    monkeypatch.setattr('mg_basicsr.host.known_classes.own_datasets', lambda: frozenset())


@pytest.fixture(scope='module')
def starts(tmp_path_factory: pytest.TempPathFactory) -> list[Options]:
    """Unbroken files of every known type, in folders and in LMDBs, and of a type that only the host knows."""
    root = tmp_path_factory.mktemp('sets')
    reds = write_reds(root / 'reds', {'000': 20, '001': 20})
    vimeo = write_vimeo(root / 'vimeo', ['00001/0001', '00001/0002'])
    for number in range(2):
        write_pair(root / 'images', f'{number}.png', picture(number, 0))
    (root / 'images/meta.txt').write_text('0.png (48,64,3)\n1.png (48,64,3)\n')
    lmdb, images_lmdb = to_lmdb(reds, root / 'lmdb'), to_lmdb(root / 'images', root / 'images_lmdb')
    images = {'meta_info_file': None, 'num_frame': None}
    sets = [
        block(reds, type='REDSRecurrentDataset'),
        block(reds, type='REDSDataset'),
        lmdb_block(reds, lmdb, type='MultigridREDSDataset', recurrent=False),
        block(vimeo, type='Vimeo90KRecurrentDataset', num_frame=-1, flip_sequence=True),
        block(vimeo, type='Vimeo90KDataset'),
        block(vimeo, type='MultigridVimeo90KDataset'),
        block(root / 'images', type='PairedImageDataset', **images),
        lmdb_block(root / 'images', images_lmdb, type='PairedImageDataset', **images),
        block(reds, type='MultigridDataset', base_type='REDSRecurrentDataset'),
        block(reds, type='TheirDataset'),
    ]
    return [file_of(train_set) for train_set in sets]


def file_of(train_set: Options) -> Options:
    options = stock(block={'preset': 'lin2022', 'min_lq_size': 1, 'min_frames': 1}, changes={'num_gpu': 1})
    loader = {'num_worker_per_gpu': 1, 'batch_size_per_gpu': 2, 'dataset_enlarge_ratio': 2, 'prefetch_mode': None}
    options['datasets']['train'] = {**train_set, **loader}
    return options


def section_of(options: Options, path: str) -> Options | None:
    found: Any = options
    for key in path.split('.') if path else []:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else None


def mutate(options: Options, rng: random.Random) -> None:
    """Change, remove or add one key, most often of the training set, in place."""
    paths = ['', 'train', 'train.optim_g', 'train.scheduler', 'datasets.train.io_backend', 'multigrid']
    path = rng.choice([*paths, *['datasets.train'] * 8])
    section = section_of(options, path)
    if not section:
        return
    key = rng.choice([*section, *MORE_KEYS.get(path, [])])
    if key in section and key != 'multigrid' and rng.random() < 0.2:  # a file without the block is BasicSR's alone
        del section[key]
        return
    section[key] = copy.deepcopy(rng.choice(VALUES))


def refusal(read: Callable[[], object]) -> set[str]:
    """Options that are refused; none if the options are accepted, whatever the data then is."""
    try:
        read()
    except ConfigError as error:
        return {problem.option for problem in error.problems if not OF_DATA.search(problem.what)}
    except DataError:
        pass
    return set()


@pytest.fixture(autouse=True)
def options_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that the host's own data sets need are another matter: they are looked at before training alone."""
    monkeypatch.setattr('mg_basicsr.host.data.planned_data.needed_problems', lambda options, auto_resume: [])


def answers(options: Options) -> dict[str, set[str]]:
    """What each of the readers refuses."""
    file = OptionsFile(Path('options.yml'), (), options)
    return {
        'plan': refusal(lambda: resolve(copy.deepcopy(file))),
        'check and train': refusal(lambda: resolve_with_data(copy.deepcopy(file), default_world_size(options))),
        'prepare': refusal(lambda: training_set(copy.deepcopy(file))),
    }


def cannot_be_stored(options: Options) -> bool:
    """Whether the host's own dataset serves the set, so that `prepare` refuses what the others accept."""
    try:
        return resolve(OptionsFile(Path('options.yml'), (), options)).train_set.options is None
    except ConfigError:
        return False


@pytest.mark.parametrize('first', range(0, 1000, 250))
def test_broken_files_are_refused_by_all_or_by_none(starts: list[Options], first: int) -> None:
    accepted = 0
    for n in range(first, first + 250):
        rng = random.Random(n)
        options = copy.deepcopy(rng.choice(starts))
        for _ in range(rng.randint(1, 2)):
            mutate(options, rng)
        told = answers(options)
        assert told['plan'] == told['check and train'], (n, options, told)
        expected = {'datasets.train.type'} if cannot_be_stored(options) else told['plan']
        assert told['prepare'] == expected, (n, options, told)
        accepted += not told['plan']
    assert 50 < accepted < 200  # the mutations are neither all fatal nor all harmless


def test_the_files_themselves_are_accepted(starts: list[Options]) -> None:
    for options in starts:
        told = answers(options)
        assert not told['plan'] and not told['check and train'], told
        assert bool(told['prepare']) == cannot_be_stored(options)
        resolve_with_data(OptionsFile(Path('options.yml'), (), options), 1)  # the data fits as well


@pytest.mark.parametrize(
    ('path', 'value'),
    [
        ('datasets.train.gt_size', 16.0),
        ('datasets.train.num_frame', 5.0),
        ('datasets.train.batch_size_per_gpu', 2.0),
        ('datasets.train.use_hflip', 'no'),
        ('datasets.train.dataroot_gt', None),
        ('datasets.train.val_partition', 'REDS5'),
        ('datasets.train.io_backend', 'disk'),
        ('datasets.train.num_worker_per_gpu', '4'),
        ('datasets.train.dataset_enlarge_ratio', '1e2'),
        ('datasets.train.prefetch_mode', 'gpu'),
        ('scale', 4.0),
    ],
)
def test_values_that_basicsr_does_not_take(starts: list[Options], path: str, value: object) -> None:
    options = copy.deepcopy(starts[0])
    parent, _, key = path.rpartition('.')
    section = section_of(options, parent)
    assert section is not None
    section[key] = value
    for refused in answers(options).values():
        assert refused and all(option.startswith(path) for option in refused)


@pytest.mark.parametrize(
    ('n', 'keys', 'option'),
    [
        (1, {'num_frame': 4}, 'datasets.train.num_frame'),  # a window without a center
        (7, {'dataroot_gt': '/tmp'}, 'datasets.train.dataroot_gt'),  # no LMDB by its name
    ],
)
def test_what_depends_on_the_type(starts: list[Options], n: int, keys: Options, option: str) -> None:
    options = copy.deepcopy(starts[n])
    options['datasets']['train'] |= keys
    assert set(map(frozenset, answers(options).values())) == {frozenset([option])}


@pytest.mark.parametrize('key', ['temporal_stride', 'spatial_stride', 'store'])
@pytest.mark.parametrize('n', [8, 9])
def test_what_an_adapted_set_cannot_do(starts: list[Options], n: int, key: str) -> None:
    options = copy.deepcopy(starts[n])
    options['multigrid'] |= {key: 'store' if key == 'store' else True}
    assert set(map(frozenset, answers(options).values())) == {frozenset([f'multigrid.{key}'])}

"""Our samples against those of BasicSR's own datasets, to the bit.

BasicSR draws from Python's global generator, ours from one of the request's seed; they draw in the same order. So
seeding the global generator with the request's seed makes BasicSR take the same interval, frames, crop and flips.
"""

from __future__ import annotations

import copy
import importlib.util
import random
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from mg_basicsr.data.crops.pixels import to_float
from mg_basicsr.data.datasets.clip_dataset import ClipDataset
from mg_basicsr.data.datasets.images import PairedImage
from mg_basicsr.data.datasets.reds import REDS, REDSRecurrent
from mg_basicsr.data.datasets.vimeo import Vimeo90K, Vimeo90KRecurrent
from mg_basicsr.data.sampling.request import SampleRequest
from mg_basicsr.train_set import TrainSetOptions
from tests.helpers.frame_sets import (
    SCALE,
    block,
    lmdb_block,
    picture,
    to_lmdb,
    write_flows,
    write_pair,
    write_reds,
    write_vimeo,
)

Theirs = Callable[..., Any]


@pytest.fixture(scope='module')
def theirs() -> Theirs:
    """Makes BasicSR's dataset of a `datasets.train` block, which it may change."""
    if importlib.util.find_spec('basicsr') is None:
        pytest.skip('basicsr is not installed')
    old = 'torchvision.transforms.functional_tensor'  # gone since torchvision 0.17; basicsr 1.4.2 imports it
    if old not in sys.modules and importlib.util.find_spec(old) is None:
        sys.modules[old] = importlib.import_module('torchvision.transforms.functional')
    modules = {
        name: importlib.import_module(f'basicsr.data.{name}_dataset') for name in ('reds', 'vimeo90k', 'paired_image')
    }

    def make(name: str, options: dict[str, Any]) -> Any:
        module: ModuleType = next(module for module in modules.values() if hasattr(module, name))
        return getattr(module, name)(copy.deepcopy(options))

    return make


@pytest.fixture(scope='module')
def reds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """BasicSR takes every clip to have 100 frames."""
    return write_reds(tmp_path_factory.mktemp('reds'), {'001': 100, '000': 100, '002': 100}, size=(40, 48))


@pytest.fixture(scope='module')
def vimeo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_vimeo(tmp_path_factory.mktemp('vimeo'), ['00001/0001', '00001/0002'])


def ours(kind: type[ClipDataset], options: dict[str, Any]) -> Any:
    return kind(TrainSetOptions.parse(options, SCALE))


def same(sample: dict[str, Any], other: dict[str, Any]) -> Iterator[bool]:
    assert sorted(sample) == sorted(other)
    for name, value in sample.items():
        if torch.is_tensor(value):
            value = to_float(value) if value.dtype == torch.uint8 else value
            yield value.dtype == other[name].dtype and torch.equal(value, other[name])
        else:
            yield value == other[name]


def assert_equal_samples(
    dataset: Any, make: Callable[[], Any], indices: Iterable[int], frames: int, gt_size: int
) -> None:
    """`make` gives a fresh dataset of BasicSR's for each sample: some of them keep state."""
    other = make()
    assert len(dataset) == len(other)
    for seed, index in enumerate(indices):
        random.seed(seed)
        wanted = make()[index]
        assert all(same(dataset[SampleRequest(index, frames, gt_size, seed)], wanted)), (index, seed)
        random.seed(seed)
        random.seed(random.getrandbits(64))  # what a bare index draws from
        wanted = make()[index]
        random.seed(seed)
        assert all(same(dataset[index], wanted)), (index, seed)


@pytest.mark.parametrize(
    'changes',
    [{}, {'random_reverse': True}, {'use_rot': False}, {'val_partition': 'official'}, {'test_mode': True}],
    ids=str,
)
def test_reds_recurrent(reds: Path, theirs: Theirs, changes: dict[str, Any]) -> None:
    options = block(reds, **changes)
    if changes.get('val_partition') == 'official':  # keeps 000 in the training set, first in the middle of the list
        assert ours(REDSRecurrent, options).key(100) == '000/00000000'
    dataset = ours(REDSRecurrent, options)
    other = theirs('REDSRecurrentDataset', options)
    assert [dataset.key(index) for index in range(len(dataset))] == other.keys
    step = range(0, len(dataset), 9)
    assert_equal_samples(dataset, lambda: theirs('REDSRecurrentDataset', options), step, 5, 16)


def test_reds_recurrent_with_intervals(reds: Path, theirs: Theirs) -> None:
    options = block(reds, interval_list=[1, 2, 3], num_frame=6, gt_size=40)
    dataset = ours(REDSRecurrent, options)
    assert_equal_samples(dataset, lambda: theirs('REDSRecurrentDataset', options), range(0, 82, 5), 6, 40)


@pytest.mark.parametrize('changes', [{}, {'random_reverse': True, 'interval_list': [1, 2]}], ids=str)
def test_reds_windows(reds: Path, theirs: Theirs, changes: dict[str, Any]) -> None:
    options = block(reds, **changes)
    dataset = ours(REDS, options)
    assert [dataset.key(index) for index in range(len(dataset))] == theirs('REDSDataset', options).keys
    assert_equal_samples(dataset, lambda: theirs('REDSDataset', options), range(4, 96, 7), 5, 16)


def test_reds_flows(tmp_path: Path, theirs: Theirs) -> None:
    root = write_reds(tmp_path, {'001': 100})
    write_flows(root, '001', 100, reach=2)
    options = block(root, dataroot_flow=str(root / 'flow'))
    dataset = ours(REDS, options)
    assert 'flow' in dataset[3]
    assert_equal_samples(dataset, lambda: theirs('REDSDataset', options), range(4, 96, 5), 5, 16)


@pytest.mark.parametrize(
    ('changes', 'frames'), [({}, 7), ({'flip_sequence': True}, 14), ({'random_reverse': True}, 7)], ids=str
)
def test_vimeo_recurrent(vimeo: Path, theirs: Theirs, changes: dict[str, Any], frames: int) -> None:
    options = block(vimeo, num_frame=-1, **changes)
    dataset = ours(Vimeo90KRecurrent, options)
    assert_equal_samples(dataset, lambda: theirs('Vimeo90KRecurrentDataset', options), [0, 1] * 5, frames, 16)


@pytest.mark.parametrize('frames', [3, 5, 7])
def test_vimeo_windows(vimeo: Path, theirs: Theirs, frames: int) -> None:
    options = block(vimeo, num_frame=frames, random_reverse=True)
    dataset = ours(Vimeo90K, options)
    assert [dataset.key(index) for index in range(len(dataset))] == theirs('Vimeo90KDataset', options).keys
    assert_equal_samples(dataset, lambda: theirs('Vimeo90KDataset', options), [0, 1] * 5, frames, 16)


def test_lmdb(vimeo: Path, tmp_path: Path, theirs: Theirs) -> None:
    copies = [to_lmdb(vimeo, tmp_path / name) for name in ('ours', 'theirs')]  # no process opens an LMDB twice
    options, their_options = (lmdb_block(vimeo, copied, num_frame=-1, flip_sequence=True) for copied in copies)
    other = theirs('Vimeo90KRecurrentDataset', their_options)
    assert_equal_samples(ours(Vimeo90KRecurrent, options), lambda: other, [0, 1] * 5, 14, 16)


@pytest.mark.parametrize('listed', [True, False])
def test_images(tmp_path: Path, theirs: Theirs, listed: bool) -> None:
    names = [f'{number}.png' for number in range(6)]
    for number, name in enumerate(names):
        write_pair(tmp_path, name, picture(0, number), lq_name=f'{number}x4.png')
    meta = tmp_path / 'meta.txt'
    meta.write_text(''.join(f'{name} (48,64,3)\n' for name in names))
    options = block(tmp_path, meta_info_file=str(meta) if listed else None, filename_tmpl='{}x4')
    dataset, other = ours(PairedImage, options), theirs('PairedImageDataset', options)
    assert len(dataset) == len(other)
    paths = [pair['gt_path'] for pair in other.paths]  # of a folder, in the order of the file system
    for seed, index in enumerate(range(6)):
        sample = dataset[SampleRequest(index, 1, 16, seed)]
        random.seed(seed)
        assert all(same(sample, other[paths.index(sample['gt_path'])]))

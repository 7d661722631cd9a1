"""Samples from a store are those from folders and LMDBs: to the bit, in the same order, with every option."""

from __future__ import annotations

import pickle
from itertools import cycle, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mg_basicsr.data.crops.crop import Flips, Window
from mg_basicsr.data.datasets.clip_dataset import ClipDataset
from mg_basicsr.data.datasets.images import PairedImage
from mg_basicsr.data.datasets.reds import REDS, REDSRecurrent
from mg_basicsr.data.datasets.vimeo import Vimeo90K, Vimeo90KRecurrent
from mg_basicsr.data.listing.frame_names import REDS_FRAMES
from mg_basicsr.data.sampling.request import SampleRequest
from mg_basicsr.data.sources.frame_source import open_frames
from mg_basicsr.data.store import clip_file, reader
from mg_basicsr.data.store.clip_file import COLD_READS
from mg_basicsr.data.store.opening import open_store
from mg_basicsr.data.store.reader import StoreFrames
from mg_basicsr.train_set import TrainSetOptions
from tests.helpers.frame_sets import (
    SCALE,
    SIZE,
    block,
    lmdb_block,
    picture,
    to_lmdb,
    write_flows,
    write_pair,
    write_reds,
)
from tests.helpers.store_sets import MakeStore, write_noise

CODECS = ['raw', 'zstd']


def assert_same(kind: type[ClipDataset], options: TrainSetOptions, store: Path, shapes: list[tuple[int, int]]) -> None:
    folders: Any = kind(options)  # type: ignore[call-arg]
    stored: Any = kind(options, open_store(store, options, folders.keys.sequences))  # type: ignore[call-arg]
    assert [stored.key(index) for index in range(len(stored))] == [folders.key(index) for index in range(len(folders))]
    stored.check_files()
    for seed in range(40):
        frames, gt_size = shapes[seed % len(shapes)]
        request = SampleRequest(seed * 7 % len(folders), frames, gt_size, seed)
        wanted, sample = folders[request], stored[request]
        assert sorted(wanted) == sorted(sample)
        for name, value in wanted.items():
            if torch.is_tensor(value):
                assert sample[name].is_contiguous()
                assert torch.equal(sample[name], value), (name, request)
            else:
                assert sample[name] == value


@pytest.fixture(scope='module', params=CODECS)
def reds_store(request: pytest.FixtureRequest, reds: Path, make_store: MakeStore) -> Path:
    return make_store(TrainSetOptions.parse(block(reds), SCALE), 'reds', request.param)


@pytest.mark.parametrize(
    'changes',
    [{}, {'random_reverse': True, 'interval_list': [1, 2, 3]}, {'use_rot': False}, {'use_hflip': False},
     {'val_partition': 'official'}, {'test_mode': True}],
    ids=str,
)  # fmt: skip
def test_reds_recurrent(reds: Path, reds_store: Path, changes: dict[str, Any]) -> None:
    options = TrainSetOptions.parse(block(reds, **changes), SCALE)
    shapes = [(3, 48), (2, 4), (1, 40)] if 'interval_list' in changes else [(5, 48), (3, 16), (6, 24), (1, 4)]
    assert_same(REDSRecurrent, options, reds_store, shapes)


def test_reds_windows(reds: Path, reds_store: Path) -> None:
    options = TrainSetOptions.parse(block(reds, random_reverse=True), SCALE)
    assert_same(REDS, options, reds_store, [(5, 48), (3, 20), (9, 16)])


def test_reds_flows(tmp_path: Path, make_store: MakeStore) -> None:
    root = write_reds(tmp_path, {'001': 9})
    write_flows(root, '001', 9, reach=2)
    options = TrainSetOptions.parse(block(root, dataroot_flow=str(root / 'flow')), SCALE)
    store = make_store(options, 'reds', 'raw')
    assert 'flow' in REDS(options, open_store(store, options))[0]
    assert_same(REDS, options, store, [(5, 16)])


@pytest.mark.parametrize(('codec', 'whole'), [*product(CODECS, [True, False])])
def test_vimeo(vimeo: Path, make_store: MakeStore, codec: str, whole: bool) -> None:
    options = TrainSetOptions.parse(block(vimeo, num_frame=-1, random_reverse=True), SCALE)
    store = make_store(options, 'vimeo', codec, whole)
    assert_same(Vimeo90KRecurrent, options, store, [(7, 48), (3, 16)])
    assert_same(Vimeo90K, options, store, [(7, 48), (3, 16)])
    assert_same(Vimeo90KRecurrent, options.replace(flip_sequence=True), store, [(14, 48), (6, 16)])


@pytest.mark.parametrize('codec', CODECS)
def test_from_lmdb(vimeo: Path, tmp_path: Path, make_store: MakeStore, codec: str) -> None:
    copied = to_lmdb(vimeo, tmp_path)
    options = TrainSetOptions.parse(lmdb_block(vimeo, copied, num_frame=-1), SCALE)
    assert_same(Vimeo90KRecurrent, options, make_store(options, 'vimeo', codec), [(7, 48), (3, 16)])


@pytest.mark.parametrize(('codec', 'listed'), [*product(CODECS, [True, False])])
def test_images(tmp_path: Path, make_store: MakeStore, codec: str, listed: bool) -> None:
    names = [f'{number}.png' for number in range(6)]
    for number, name in enumerate(names):
        write_pair(tmp_path, name, picture(0, number, (24 + 4 * number, 48)), lq_name=f'{number}x4.png')
    meta = tmp_path / 'meta.txt'
    meta.write_text(''.join(f'{name} ({24 + 4 * number},48,3)\n' for number, name in enumerate(names)))
    options = TrainSetOptions.parse(
        block(tmp_path, meta_info_file=str(meta) if listed else None, filename_tmpl='{}x4'), SCALE
    )
    assert_same(PairedImage, options, make_store(options, 'images', codec), [(1, 16), (1, 24), (1, 4)])


@pytest.mark.parametrize(('scale', 'codec'), [*product([1, 2, 3, 4], CODECS)])
def test_every_flip_of_noise(
    tmp_path: Path, make_store: MakeStore, scale: int, codec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames of noise, whose size is no multiple of the tile; crops at their corners and all over."""
    monkeypatch.setattr(reader, 'SMALL', 20)
    colds = cycle([True, False])
    monkeypatch.setattr(clip_file.ColdCache, '__bool__', lambda cache: next(colds))
    size = (12 * scale + 12, 60)
    root = write_noise(tmp_path, {'001': 11}, size, scale)
    options = TrainSetOptions.parse(block(root, gt_size=12 * scale), scale)
    folders, store = open_frames(options, REDS_FRAMES), open_store(make_store(options, 'reds', codec), options)
    sequence = next(iter(store.clips)).sequence
    heights = {'gt': size, 'lq': (size[0] // scale, size[1] // scale)}
    runs = [(0,), (10, 9, 8, 7, 6, 5, 4, 3), (1, 4, 7, 10), (8, 5, 2), tuple(range(11)), (3, 3, 9, 0)]
    for number, (flips, frames) in enumerate(product(product([False, True], repeat=3), runs)):
        for side, (height, width) in heights.items():
            edge = min(height, width, (number * 5 + 3) % 41 + 1)
            for top, left in ((0, 0), (height - edge, width - edge), (number % (height - edge + 1), 0)):
                planes = [np.empty((len(frames), 3, edge, edge), np.uint8) for _ in range(2)]
                for source, out in zip((folders, store), planes, strict=True):
                    getattr(source, f'read_{side}')(sequence, frames, Window(top, left, edge), Flips(*flips), out)
                assert np.array_equal(*planes), (side, flips, frames, top, left, edge)


def test_a_store_can_be_pickled_after_use(reds: Path, reds_store: Path) -> None:
    options = TrainSetOptions.parse(block(reds), SCALE)
    dataset = REDSRecurrent(options, open_store(reds_store, options))
    request = SampleRequest(3, 5, 16, 1)
    assert torch.equal(dataset[request]['gt'], pickle.loads(pickle.dumps(dataset))[request]['gt'])


def test_open_files_are_limited(reds: Path, reds_store: Path) -> None:
    options = TrainSetOptions.parse(block(reds, val_partition='official'), SCALE)
    store = open_store(reds_store, options)
    store._most_open = 1
    dataset = REDSRecurrent(options, store)
    assert {dataset[SampleRequest(index, 5, 16, 0)]['key'][:3] for index in (0, 10, 45)} == {'000', '001', '002'}
    assert len(store._open) == 1


def test_the_shape_of_an_image(reds_store: Path) -> None:
    store = StoreFrames(reds_store)
    assert store.gt_shape(next(iter(store.clips)).sequence) == SIZE


def test_ranges_are_announced_while_samples_are_read_from_disk() -> None:
    """And for some samples after the last one, whose files may be in memory by chance."""
    cache = clip_file.ColdCache()
    found = [bool(cache)]
    for waited in (True, *[False] * (COLD_READS - 1), True, *[False] * COLD_READS, False):
        cache.note(waited)
        found.append(bool(cache))
    assert found == [False, *[True] * (2 * COLD_READS), False, False]

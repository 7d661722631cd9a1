"""Clips of a store without an options file: keys, pixels, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mg_basicsr.data.datasets.store_clips import store_clips
from mg_basicsr.data.sampling.request import SampleRequest
from mg_basicsr.data.store.building.build import build
from mg_basicsr.data.store.building.material import ArrayClip
from mg_basicsr.data.store.format import Header
from mg_basicsr.errors import ConfigError, DataError

LENGTHS = {'000': 9, 'clips/long': 15}
SCALE = 4


def frames_of(name: str) -> NDArray[np.uint8]:
    """GT whose pixels are (frame, y, x)."""
    return np.stack(np.meshgrid(range(LENGTHS[name]), range(48), range(64), indexing='ij'), axis=-1).astype(np.uint8)


@pytest.fixture(scope='module', params=['raw', 'zstd'])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp('arrays') / 'store'
    clips = [ArrayClip(name, frames_of(name), frames_of(name)[:, ::SCALE, ::SCALE]) for name in LENGTHS]
    build(root, Header(SCALE, request.param, 4 if request.param == 'zstd' else 0, 'bicubic'), clips)
    return root


def test_every_frame_of_every_clip_is_a_key(store: Path) -> None:
    dataset = store_clips(store, frames=5, gt_size=32)
    assert len(dataset) == sum(LENGTHS.values())
    assert [dataset.key(index) for index in (0, 8, 9, 23)] == [
        '000/00000000', '000/00000008', 'clips/long/00000000', 'clips/long/00000014',
    ]  # fmt: skip


@pytest.mark.parametrize('frames, gt_size', [(5, 32), (3, 16)])
def test_samples_are_consecutive_frames_of_one_place(store: Path, frames: int, gt_size: int) -> None:
    dataset = store_clips(store, frames=5, gt_size=32, use_hflip=False, use_rot=False)
    for index in range(len(dataset)):
        sample = dataset[SampleRequest(index, frames, gt_size, seed=index)]
        gt, lq = sample['gt'].numpy().astype(int), sample['lq'].numpy().astype(int)
        assert gt.shape == (frames, 3, gt_size, gt_size)
        first, top, left = gt[0, :, 0, 0]
        place = np.meshgrid(*(range(at, at + size) for at, size in ((first, frames), (top, gt_size), (left, gt_size))),
                            indexing='ij')  # fmt: skip
        assert np.array_equal(gt, np.stack(place, axis=1))
        assert np.array_equal(lq, gt[:, :, ::SCALE, ::SCALE])


def test_options_reach_the_dataset(store: Path) -> None:
    dataset = store_clips(
        store, frames=3, gt_size=16, interval_list=(2,), random_reverse=True, use_hflip=False, use_rot=False
    )
    first_frames = [dataset[SampleRequest(0, 3, 16, seed)]['gt'][:, 0, 0, 0].tolist() for seed in range(20)]
    assert sorted(set(map(tuple, first_frames))) == [(0, 2, 4), (4, 2, 0)]
    assert dataset.options.degradation == 'bicubic'
    assert not store_clips(store, frames=3, gt_size=16).options.random_reverse


@pytest.mark.parametrize(
    'frames, gt_size, error, words',
    [
        (5, 30, ConfigError, 'not a multiple of scale: 4'),
        (10, 32, DataError, '000 has 9 frames, too short'),
        (5, 52, DataError, 'smaller than crops of 52'),
    ],
)
def test_impossible_shapes_are_refused(
    store: Path, frames: int, gt_size: int, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        store_clips(store, frames=frames, gt_size=gt_size)


def test_an_empty_store_is_refused(tmp_path: Path) -> None:
    build(tmp_path / 'store', Header(SCALE), [])
    with pytest.raises(DataError, match='no clip is listed'):
        store_clips(tmp_path / 'store', frames=1, gt_size=4)
    with pytest.raises(DataError, match='is not a store'):
        store_clips(tmp_path, frames=1, gt_size=4)

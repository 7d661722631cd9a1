"""Vimeo-like sets: septuplets, mirrored or not, and sliding windows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from mg_basicsr.data.datasets.vimeo import Vimeo90K, Vimeo90KRecurrent
from mg_basicsr.data.sampling.request import SampleRequest
from mg_basicsr.errors import ConfigError, DataError
from mg_basicsr.train_set import TrainSetOptions
from tests.helpers.frame_sets import SCALE, block, lmdb_block, to_lmdb, write_vimeo


def recurrent(root: Path, **changes: Any) -> Vimeo90KRecurrent:
    return Vimeo90KRecurrent(TrainSetOptions.parse(block(root, **{'num_frame': -1, **changes}), SCALE))


def windows(root: Path, **changes: Any) -> Vimeo90K:
    return Vimeo90K(TrainSetOptions.parse(block(root, **{'num_frame': 7, **changes}), SCALE))


def numbers_of(clip: torch.Tensor, sequence: int) -> list[int]:
    """Numbers in the file names, 1 to 7, of a clip (t, 3, h, w)."""
    return [int(red) - 50 * sequence for red in clip[:, 0, 0, 0]]


def test_keys_are_basicsrs(vimeo: Path) -> None:
    for dataset in (recurrent(vimeo), windows(vimeo)):
        assert [dataset.key(index) for index in range(len(dataset))] == ['00001/0001', '00001/0002', '00002/0001']
        assert dataset[SampleRequest(2, 7, 16, 0)]['key'] == '00002/0001'


@pytest.mark.parametrize(
    ('changes', 'frames'),
    [({}, 7), ({'flip_sequence': True}, 14), ({'num_frame': 5}, 5), ({'num_frame': 5, 'flip_sequence': True}, 10)],
)
def test_full_clips(vimeo: Path, changes: dict[str, Any], frames: int) -> None:
    dataset = recurrent(vimeo, **changes)
    assert dataset.full_frames == frames
    assert dataset[0]['gt'].shape == (frames, 3, 16, 16)


@pytest.mark.parametrize('frames', [2, 6, 10, 14])
@pytest.mark.parametrize('random_reverse', [False, True])
def test_mirrored_clips(vimeo: Path, frames: int, random_reverse: bool) -> None:
    dataset = recurrent(vimeo, flip_sequence=True, random_reverse=random_reverse)
    half = frames // 2
    seen = set()
    for seed in range(150):
        sample = dataset[SampleRequest(1, frames, 16, seed)]
        for side in ('lq', 'gt'):
            assert sample[side].shape[0] == frames
            assert sample[side].is_contiguous()
            assert torch.equal(sample[side], sample[side].flip(0))
        numbers = numbers_of(sample['gt'], 1)[:half]
        assert numbers_of(sample['lq'], 1)[:half] == numbers
        step = -1 if numbers[0] > numbers[-1] else 1
        assert numbers == list(range(numbers[0], numbers[0] + step * half, step))
        seen.add(tuple(numbers))
    assert len(seen) == (8 - half) * (2 if random_reverse and half > 1 else 1)


def test_consecutive_frames_start_anywhere(vimeo: Path) -> None:
    draws = [recurrent(vimeo).draw(SampleRequest(0, 5, 16, seed)) for seed in range(300)]
    counts = {start: sum(draw.lq_frames[0] == start for draw in draws) for start in range(3)}
    assert sum(counts.values()) == 300
    assert min(counts.values()) > 70
    assert all(draw.lq_frames == draw.gt_frames == tuple(range(draw.center, draw.center + 5)) for draw in draws)


@pytest.mark.parametrize('frames', [1, 3, 5, 7])
def test_windows_are_around_im4(vimeo: Path, frames: int) -> None:
    sample = windows(vimeo, num_frame=frames)[SampleRequest(2, frames, 16, 0)]
    half = frames // 2
    assert numbers_of(sample['lq'], 2) == list(range(4 - half, 5 + half))
    assert numbers_of(sample['gt'][None], 2) == [4]
    assert sample['gt'].shape == (3, 16, 16)


def test_reversal_leaves_no_trace(vimeo: Path) -> None:
    """BasicSR reverses a list of the dataset's own, so that a sample depends on those before it."""
    dataset = windows(vimeo, random_reverse=True)
    drawn = [dataset.draw(SampleRequest(0, 7, 16, seed)).lq_frames for seed in range(100)]
    assert set(drawn) == {tuple(range(7)), tuple(range(6, -1, -1))}
    assert [dataset.draw(SampleRequest(0, 7, 16, seed)).lq_frames for seed in reversed(range(100))] == drawn[::-1]


@pytest.mark.parametrize(('length', 'center'), [(3, 2), (5, 3), (9, 5)])
def test_sequences_of_other_lengths(tmp_path: Path, length: int, center: int) -> None:
    write_vimeo(tmp_path, ['00001/0001'], frames=length)
    window = windows(tmp_path, num_frame=3)[SampleRequest(0, 3, 16, 0)]
    assert numbers_of(window['lq'], 0) == [center - 1, center, center + 1]
    clip = recurrent(tmp_path)[SampleRequest(0, length, 16, 0)]
    assert numbers_of(clip['lq'], 0) == list(range(1, length + 1))


@pytest.mark.parametrize('frames', [6, 14])
def test_lmdb_and_folder_give_the_same_samples(vimeo: Path, vimeo_lmdb: Path, frames: int) -> None:
    options = TrainSetOptions.parse(lmdb_block(vimeo, vimeo_lmdb, num_frame=-1, flip_sequence=True), SCALE)
    folders, databases = recurrent(vimeo, flip_sequence=True), Vimeo90KRecurrent(options)
    databases.check_files()
    for seed in range(20):
        one, other = (dataset[SampleRequest(seed % 3, frames, 16, seed)] for dataset in (folders, databases))
        assert one['key'] == other['key']
        assert all(torch.equal(one[side], other[side]) for side in ('lq', 'gt'))


def test_errors(vimeo: Path) -> None:
    mirrored = recurrent(vimeo, flip_sequence=True)
    with pytest.raises(ConfigError, match=r'a mirrored clip cannot have 7 frames\n.*datasets.train.flip_sequence'):
        mirrored.check(7, 16)
    with pytest.raises(DataError, match='00001/0001 has 7 frames, too short for clips of 16\n  allowed: at least 8'):
        mirrored.check(16, 16)
    with pytest.raises(DataError, match='too short for clips of 8'):
        recurrent(vimeo)[SampleRequest(0, 8, 16, 0)]
    with pytest.raises(ConfigError, match='a sliding window of 6 frames'):
        windows(vimeo, num_frame=6)
    with pytest.raises(ConfigError, match=r'datasets.train.meta_info_file: missing'):
        recurrent(vimeo, meta_info_file=None)


def test_missing_frames_are_found(tmp_path: Path) -> None:
    write_vimeo(tmp_path, ['00001/0001'])
    path = tmp_path / 'LQ' / '00001' / '0001' / 'im3.png'
    path.unlink()
    with pytest.raises(DataError, match='1 of 7 frames are missing'):
        recurrent(tmp_path).check_files()
    with pytest.raises(DataError) as error:
        recurrent(tmp_path)[0]
    assert (
        str(error.value.problems[0]).partition('\n')[0]
        == f'LQ frame {path} (clip 00001/0001, frame im3) does not exist'
    )


def test_only_frames_that_are_read_are_demanded(tmp_path: Path) -> None:
    """BasicSR's own LMDBs of Vimeo-90K have only im4 of GT; a window of 3 shows im3 to im5 of LQ."""
    write_vimeo(tmp_path, ['00001/0001', '00001/0002'])
    whole = windows(tmp_path, num_frame=3)[SampleRequest(1, 3, 16, 0)]
    for path in tmp_path.rglob('*.png'):
        needed = ['im4.png'] if 'GT' in path.parts else ['im3.png', 'im4.png', 'im5.png']
        if path.name not in needed:
            path.unlink()
    target = to_lmdb(tmp_path, tmp_path / 'databases')
    for values in (block(tmp_path, num_frame=3), lmdb_block(tmp_path, target, num_frame=3)):
        dataset = Vimeo90K(TrainSetOptions.parse(values, SCALE))
        dataset.check_files()
        sample = dataset[SampleRequest(1, 3, 16, 0)]
        assert all(torch.equal(sample[side], whole[side]) for side in ('lq', 'gt'))
    with pytest.raises(DataError, match='6 of 7 frames are missing'):
        recurrent(tmp_path).check_files()
    with pytest.raises(DataError, match='2 of 5 frames are missing'):
        windows(tmp_path, num_frame=5).check_files()
    (tmp_path / 'GT/00001/0002/im4.png').unlink()
    with pytest.raises(DataError, match='1 of 1 frames are missing'):
        windows(tmp_path, num_frame=3).check_files()


@pytest.mark.parametrize('make', [recurrent, windows])
def test_sizes_that_are_not_listed_are_those_of_frames(vimeo: Path, tmp_path: Path, make: Any) -> None:
    meta = tmp_path / 'meta.txt'
    meta.write_text('00001/0001 7\n00001/0002 \n00002/0001 7 frames\n')
    listed, bare = make(vimeo), make(vimeo, meta_info_file=str(meta))
    bare.check(7, 16)
    bare.check_files()
    one, other = (dataset[SampleRequest(2, 7, 16, 3)] for dataset in (listed, bare))
    assert all(torch.equal(one[side], other[side]) for side in ('lq', 'gt'))
    with pytest.raises(DataError, match='48x64 pixels, smaller than crops of 64'):
        make(vimeo, meta_info_file=str(meta), gt_size=64).check_files()

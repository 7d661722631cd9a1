"""REDS-like sets, recurrent and sliding window. What a sample shows is read off its pixels (see frame_sets)."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mg_basicsr.data.crops.crop import Flips
from mg_basicsr.data.datasets.clip_dataset import ClipDataset
from mg_basicsr.data.datasets.reds import REDS, REDSRecurrent
from mg_basicsr.data.sampling.request import SampleRequest
from mg_basicsr.errors import ConfigError, DataError
from mg_basicsr.train_set import TrainSetOptions
from tests.helpers.frame_sets import SCALE, block, lmdb_block, write_flows, write_reds

SEEDS = st.integers(0, 2**64 - 1)
Make = Callable[..., ClipDataset]


def recurrent(root: Path, **changes: Any) -> REDSRecurrent:
    return REDSRecurrent(TrainSetOptions.parse(block(root, **changes), SCALE))


def windows(root: Path, **changes: Any) -> REDS:
    return REDS(TrainSetOptions.parse(block(root, **changes), SCALE))


def frames_of(clip: torch.Tensor, sequence: int) -> list[int]:
    """Frame numbers of a clip (t, 3, h, w), whose red channel is 50 * sequence + frame."""
    reds = clip[:, 0]
    assert torch.equal(reds, reds[:, :1, :1].expand_as(reds))
    return [int(red) - 50 * sequence for red in reds[:, 0, 0]]


def test_keys_are_basicsrs(reds: Path) -> None:
    listed = [f'{name}/{frame:08d}' for name, frames in (('001', 37), ('002', 9)) for frame in range(frames)]
    for dataset in (recurrent(reds), windows(reds)):
        assert [dataset.key(index) for index in range(len(dataset))] == listed
        assert dataset[SampleRequest(38, 3, 16, 0)]['key'] == '002/00000001'


def test_test_mode_takes_the_other_clips(reds: Path) -> None:
    assert [recurrent(reds, test_mode=True).key(index) for index in range(6)] == [f'000/{i:08d}' for i in range(6)]
    assert len(windows(reds, test_mode=True)) == 46  # BasicSR's REDSDataset has no test_mode


def test_the_sample(reds: Path) -> None:
    sample = recurrent(reds)[SampleRequest(3, 7, 24, 5)]
    lq, gt = sample['lq'], sample['gt']
    assert sorted(sample) == ['gt', 'key', 'lq']
    assert (lq.shape, lq.dtype, lq.is_contiguous()) == ((7, 3, 6, 6), torch.uint8, True)
    assert (gt.shape, gt.dtype, gt.is_contiguous()) == ((7, 3, 24, 24), torch.uint8, True)
    assert frames_of(lq, 1) == frames_of(gt, 1) == [3, 4, 5, 6, 7, 8, 9]


@settings(deadline=None, max_examples=50)
@given(seed=SEEDS, index=st.integers(0, 45), frames=st.integers(1, 9), size=st.sampled_from([4, 16, 28, 48]))
def test_lq_and_gt_show_the_same_place(reds: Path, seed: int, index: int, frames: int, size: int) -> None:
    dataset = recurrent(reds)
    request = SampleRequest(index, frames, size, seed)
    draw, sample = dataset.draw(request), dataset[request]
    # a flipped GT crop begins at the other end of the block of pixels that its LQ pixel stands for
    down, right = (SCALE - 1 if flip else 0 for flip in (draw.flips.vertical, draw.flips.horizontal))
    if draw.flips.transpose:
        down, right = right, down
    assert torch.equal(sample['lq'], sample['gt'][:, :, down::SCALE, right::SCALE])
    assert int(sample['gt'][0, 1].min()) == SCALE * draw.window.top
    assert int(sample['gt'][0, 2].min()) == SCALE * draw.window.left


def test_a_sample_depends_on_its_request_alone(reds: Path) -> None:
    dataset = recurrent(reds, random_reverse=True, interval_list=[1, 2])
    requests = [SampleRequest(index, 4, 16, seed) for index in (0, 20, 44) for seed in range(10)]
    forward = [dataset.draw(request) for request in requests]
    random.seed(1)
    again = pickle.loads(pickle.dumps(dataset))
    backward = [again.draw(request) for request in reversed(requests)]
    assert forward == backward[::-1]
    assert len(set(forward)) == len(forward)
    state = random.getstate()
    dataset[requests[0]]
    assert random.getstate() == state


@pytest.mark.parametrize('make', [recurrent, windows])
def test_lmdb_and_folder_give_the_same_samples(make: Make, reds: Path, reds_lmdb: Path) -> None:
    folders = make(reds, random_reverse=True)
    databases = type(folders)(TrainSetOptions.parse(lmdb_block(reds, reds_lmdb, random_reverse=True), SCALE))
    for index in range(0, len(folders), 5):
        request = SampleRequest(index, 5, 16, index + 1)
        one, other = folders[request], databases[request]
        assert one['key'] == other['key']
        assert torch.equal(one['lq'], other['lq'])
        assert torch.equal(one['gt'], other['gt'])


def test_a_clip_of_37_frames_is_used_to_its_end(reds: Path) -> None:
    dataset = recurrent(reds)
    assert dataset.draw(SampleRequest(22, 15, 16, 0)).lq_frames == tuple(range(22, 37))
    starts = {dataset.draw(SampleRequest(36, 15, 16, seed)).lq_frames[0] for seed in range(1000)}
    assert starts == set(range(23))
    assert dataset.draw(SampleRequest(0, 37, 16, 0)).lq_frames == tuple(range(37))


def test_late_starts_are_drawn_anew_uniformly(reds: Path) -> None:
    dataset = recurrent(reds)
    starts = [dataset.draw(SampleRequest(45, 6, 16, seed)).lq_frames[0] for seed in range(4000)]
    counts = [starts.count(start) for start in range(4)]
    assert sum(counts) == 4000
    assert all(900 < count < 1100 for count in counts)


def test_intervals(reds: Path) -> None:
    dataset = recurrent(reds, interval_list=[1, 3])
    drawn = {dataset.draw(SampleRequest(34, 4, 16, seed)).lq_frames for seed in range(300)}
    assert {frames for frames in drawn if frames[1] - frames[0] == 3} == {(s, s + 3, s + 6, s + 9) for s in range(28)}
    assert (33, 34, 35, 36) in drawn
    request = next(r for seed in range(99) if dataset.draw(r := SampleRequest(5, 3, 16, seed)).lq_frames == (5, 8, 11))
    assert frames_of(dataset[request]['gt'], 1) == [5, 8, 11]


def test_reversed_clips(reds: Path) -> None:
    dataset = recurrent(reds, random_reverse=True)
    drawn = [dataset.draw(SampleRequest(2, 3, 16, seed)).lq_frames for seed in range(200)]
    assert set(drawn) == {(2, 3, 4), (4, 3, 2)}
    assert 70 < drawn.count((2, 3, 4)) < 130
    seed = drawn.index((4, 3, 2))
    sample = dataset[SampleRequest(2, 3, 16, seed)]
    assert frames_of(sample['lq'], 1) == frames_of(sample['gt'], 1) == [4, 3, 2]


def test_switched_off_flips(reds: Path) -> None:
    dataset = recurrent(reds, use_hflip=False, use_rot=False)
    assert {dataset.draw(SampleRequest(2, 3, 16, seed)).flips for seed in range(50)} == {Flips(False, False, False)}


def test_a_window_and_its_center(reds: Path) -> None:
    sample = windows(reds)[SampleRequest(10, 5, 16, 0)]
    assert sample['gt'].shape == (3, 16, 16)
    assert sample['gt'].is_contiguous()
    assert frames_of(sample['gt'][None], 1) == [10]
    assert frames_of(sample['lq'], 1) == [8, 9, 10, 11, 12]
    assert sample['key'] == '001/00000010'


@pytest.mark.parametrize('index', [0, 1, 35, 36])
def test_centers_near_the_ends_are_drawn_anew(reds: Path, index: int) -> None:
    dataset = windows(reds)
    draws = [dataset.draw(SampleRequest(index, 5, 16, seed)) for seed in range(1000)]
    assert {draw.center for draw in draws} == set(range(2, 35))
    assert all(draw.lq_frames == tuple(range(draw.center - 2, draw.center + 3)) for draw in draws)
    assert all(draw.gt_frames == (draw.center,) for draw in draws)
    assert dataset.key(index) == draws[0].key


def flow_set(root: Path) -> dict[str, Any]:
    write_reds(root, {'001': 7})
    write_flows(root, '001', 7, reach=4)
    return block(root, dataroot_flow=str(root / 'flow'), num_frame=3, use_hflip=False, use_rot=False)


def test_flows_follow_their_frames(tmp_path: Path) -> None:
    options = TrainSetOptions.parse({**flow_set(tmp_path), 'random_reverse': True, 'interval_list': [1, 2]}, SCALE)
    dataset = REDS(options)
    dataset.check_files()
    samples = {}
    for seed in range(40):
        request = SampleRequest(3, 3, 48, seed)
        draw = dataset.draw(request)
        samples[draw.lq_frames] = dataset[request]['flow'], draw.window
    assert sorted(samples) == [(1, 3, 5), (2, 3, 4), (4, 3, 2), (5, 3, 1)]
    for frames, (flow, window) in samples.items():
        assert (flow.shape, flow.dtype) == ((3, 2, 12, 12), torch.float32)
        assert not flow[1].any()
        again = dataset.source.read_flow(dataset.draw(SampleRequest(3, 3, 48, 0)).sequence, 3, [frames[0] - 3], window)
        assert torch.equal(flow[0], torch.from_numpy(again[0]).permute(2, 0, 1))
        assert flow[0].any()


def test_a_missing_flow_is_named(tmp_path: Path) -> None:
    options = TrainSetOptions.parse(flow_set(tmp_path), SCALE)
    path = tmp_path / 'flow' / '001' / '00000003_p1.png'
    path.unlink()
    with pytest.raises(DataError, match=rf'Flow frame {path} \(clip 001, frame 00000003_p1\) does not exist'):
        REDS(options)[SampleRequest(3, 3, 16, 0)]
    with pytest.raises(DataError, match='1 of 10 frames are missing: Flow frame'):
        REDS(options).check_files()


def test_a_bare_index_gives_basicsrs_floats(reds: Path) -> None:
    dataset = recurrent(reds)
    random.seed(3)
    sample = dataset[20]
    random.seed(3)
    raw = dataset[SampleRequest(20, 5, 16, random.getrandbits(64))]
    assert sample['gt'].dtype == sample['lq'].dtype == torch.float32
    assert torch.equal(sample['gt'], raw['gt'].float() / 255)
    assert sample['lq'].shape == (5, 3, 4, 4)
    assert sample['key'] == raw['key'] == dataset[-26]['key']
    with pytest.raises(IndexError):
        dataset[46]
    with pytest.raises(IndexError):
        dataset[-47]


def test_a_clip_that_is_too_short(reds: Path) -> None:
    dataset = recurrent(reds)
    dataset.check(9, 16)
    for fails in (lambda: dataset.check(10, 16), lambda: dataset[SampleRequest(40, 10, 16, 0)]):
        with pytest.raises(DataError) as error:
            fails()
        assert str(error.value).splitlines() == [
            f'{reds / "meta.txt"}: 002 has 9 frames, too short for clips of 10',
            '  allowed: at least 10 frames',
            '  ask for fewer frames, or remove it from datasets.train.meta_info_file',
        ]
    dataset[SampleRequest(0, 10, 16, 0)]  # the other clip is long enough


def test_intervals_count_for_the_length(reds: Path) -> None:
    dataset = recurrent(reds, interval_list=[1, 2])
    dataset.check(5, 16)
    with pytest.raises(DataError, match='002 has 9 frames, too short for clips of 6\n  allowed: at least 11 frames'):
        dataset.check(6, 16)


def test_a_crop_that_is_too_large(reds: Path) -> None:
    dataset = recurrent(reds)
    dataset.check(5, 48)
    for fails in (lambda: dataset.check(5, 52), lambda: dataset[SampleRequest(0, 5, 52, 0)]):
        with pytest.raises(DataError, match=r'has GT frames of 48x64 pixels, smaller than crops of 52'):
            fails()


def test_a_crop_that_the_scale_does_not_divide(reds: Path) -> None:
    for size in (0, 18):
        with pytest.raises(ConfigError, match=rf'^datasets.train.gt_size: {size} is not a multiple of scale: 4'):
            recurrent(reds).check(5, size)


def test_frames_that_the_scale_does_not_divide(tmp_path: Path) -> None:
    write_reds(tmp_path, {'001': 1}, size=(30, 64))
    with pytest.raises(DataError, match=r'001 has GT frames of 30x64 pixels, not divisible by scale: 4'):
        recurrent(tmp_path).check(1, 16)


def test_windows_are_odd(reds: Path) -> None:
    for fails in (lambda: windows(reds, num_frame=4), lambda: windows(reds).check(4, 16)):
        with pytest.raises(ConfigError, match='a sliding window of 4 frames has no center frame'):
            fails()


def test_num_frame_is_needed(reds: Path) -> None:
    with pytest.raises(ConfigError, match=r'datasets.train.num_frame: missing'):
        recurrent(reds, num_frame=None)


def test_all_that_is_wrong_with_the_sequences_is_told_up_to_five(tmp_path: Path) -> None:
    (tmp_path / 'GT').mkdir()
    (tmp_path / 'LQ').mkdir()
    (tmp_path / 'meta.txt').write_text(''.join(f'{100 + i} 3 (64,64,3)\n' for i in range(8)))
    with pytest.raises(DataError) as error:
        recurrent(tmp_path).check(5, 16)
    assert [str(problem).partition('\n')[0].partition(': ')[2][:3] for problem in error.value.problems[:5]] == [
        '100', '101', '102', '103', '104'
    ]  # fmt: skip
    assert str(error.value.problems[5]).partition('\n')[0] == 'and 3 more of this kind'
    with pytest.raises(DataError) as error:
        recurrent(tmp_path).check_files(limit=4)
    assert [what.partition(' (clip ')[2][:3] for _, what, *_ in error.value.problems[:5]] == [
        '100', '100', '102', '102', '104'
    ]  # fmt: skip
    assert str(error.value.problems[5]).partition('\n')[0] == 'and 3 more of this kind'


@pytest.mark.parametrize(
    ('limit', 'numbers'), [(1, [0]), (2, [0, 4]), (3, [0, 3, 6]), (4, [0, 2, 4, 6]), (99, list(range(8)))]
)
def test_at_most_limit_sequences_are_looked_at(
    reds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int, numbers: list[int]
) -> None:
    meta = tmp_path / 'meta.txt'
    meta.write_text(''.join(f'{100 + i} 3 (64,64,3)\n' for i in range(8)))
    dataset = recurrent(reds, meta_info_file=str(meta))
    looked: list[str] = []
    monkeypatch.setattr(dataset.source, 'problems', lambda sequence, *_: looked.append(sequence.name) or [])
    dataset.check_files(limit)
    assert looked == [str(100 + number) for number in numbers]


def test_any_source_of_the_protocol_will_do(reds: Path) -> None:
    """A store reads the same draws in its own way."""
    dataset = recurrent(reds)
    copied = REDSRecurrent(replace(dataset.options, dataroot_gt='gone', dataroot_lq='gone'), dataset.source)
    request = SampleRequest(5, 3, 16, 2)
    assert torch.equal(copied[request]['gt'], dataset[request]['gt'])


def test_windows_need_no_gt_of_frames_that_are_never_their_center(tmp_path: Path) -> None:
    write_reds(tmp_path, {'001': 9})
    for number in (0, 1, 7, 8):
        (tmp_path / f'GT/001/{number:08d}.png').unlink()
    options = TrainSetOptions.parse(block(tmp_path, num_frame=5, interval_list=[1, 2]), SCALE)
    dataset = REDS(options)
    dataset.check_files()
    for seed in range(40):
        dataset[SampleRequest(seed % 9, 5, 16, seed)]
    with pytest.raises(DataError, match='4 of 9 frames are missing'):  # LQ is made from the GT of the whole window
        REDS(options.replace(degradation='bicubic')).check_files()

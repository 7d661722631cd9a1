"""Shots of videos, and the degradation that needs no BasicSR."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mg_basicsr.data.crops.crop import Flips, Window
from mg_basicsr.data.crops.degradation import BD_SIGMA, bd
from mg_basicsr.data.store.building.build import build
from mg_basicsr.data.store.building.inputs import Making, from_videos
from mg_basicsr.data.store.building.video import Video, change, cuts, inspect, split, thumbnail
from mg_basicsr.data.store.format import Header
from mg_basicsr.data.store.reader import StoreFrames
from mg_basicsr.errors import ConfigError, DataError

SIZE = (72, 98)


def scene(number: int) -> NDArray[np.uint8]:
    """A smooth picture, larger than a frame."""
    rng = np.random.default_rng(number)
    coarse = rng.integers(0, 256, (6, 8, 3), np.uint8)
    return np.asarray(cv2.resize(coarse, (200, 120), interpolation=cv2.INTER_CUBIC), np.uint8)


def filmed(lengths: list[int], speed: int) -> list[NDArray[np.uint8]]:
    """Shots of different scenes, each with a camera that moves `speed` pixels a frame."""
    return [
        np.roll(scene(number), speed * frame, axis=1)[: SIZE[0], : SIZE[1]]
        for number, length in enumerate(lengths)
        for frame in range(length)
    ]


def found(frames: list[NDArray[np.uint8]]) -> list[int]:
    small = [thumbnail(frame) for frame in frames]
    return cuts([change(*pair) for pair in pairwise(small)])


@pytest.mark.parametrize('speed', [0, 1, 3])
def test_cuts_are_found_whatever_the_motion(speed: int) -> None:
    assert found(filmed([12, 30, 9, 25], speed)) == [12, 42, 51]


@pytest.mark.parametrize('brightness', [0.15, 0.3])
@pytest.mark.parametrize('noise', [0, 1])
@pytest.mark.parametrize('speed', [0, 1])
def test_cuts_in_dark_material(brightness: float, noise: int, speed: int) -> None:
    rng = np.random.default_rng(0)
    frames = [brightness * frame + rng.normal(0, noise, frame.shape) for frame in filmed([40, 30, 20], speed)]
    assert found([frame.clip(0, 255).astype(np.uint8) for frame in frames]) == [40, 70]


@pytest.mark.parametrize('axis', [0, 1])
@pytest.mark.parametrize('number', range(8))
def test_cuts_to_a_mirrored_picture(number: int, axis: int) -> None:
    shot = [np.roll(scene(number), frame, axis=1)[: SIZE[0], : SIZE[1]] for frame in range(40)]
    assert found([*shot[:20], *(np.flip(frame, axis) for frame in shot[20:])]) == [20]
    dark = [np.uint8(0.2 * frame) for frame in shot]
    assert found([*dark[:20], *(np.flip(frame, axis) for frame in dark[20:])]) == [20]


def test_what_is_no_cut_in_dark_material() -> None:
    rng = np.random.default_rng(0)
    dark = np.uint8(0.15 * scene(0))
    pan = [np.roll(dark, 12 * step, axis=1) for step in range(40)]
    jolt = [dark] * 9 + [np.roll(dark, 60, axis=1)] * 9
    black = [rng.integers(0, 3, dark.shape, np.uint8) for _ in range(30)]
    light = [dark] * 12 + [np.uint8(0.2 * scene(0))] * 12
    for frames in (pan, jolt, black, light):
        assert found(frames) == []


def test_what_is_no_cut() -> None:
    still = scene(0)
    fade = [np.uint8(still * (1 - step / 40)) for step in range(41)]
    cross = [cv2.addWeighted(still, 1 - step / 30, scene(1), step / 30, 0) for step in range(31)]
    pan = [np.roll(still, 12 * step, axis=1) for step in range(40)]
    jolt = [still] * 9 + [np.roll(still, 60, axis=1)] * 9
    for frames in (fade, cross, pan, jolt, [still] * 20):
        assert found(frames) == []
    assert found([still]) == []


def test_clips_lie_within_shots() -> None:
    video = Video(100, 48, 64, (0, 25, 34, 90))
    assert split(video, 10) == [0, 10, 34, 44, 54, 64, 74, 90]
    assert split(video, 60) == []
    assert split(Video(30, 48, 64, (0,)), 10) == [0, 10, 20]


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Two shots of 14 and 11 frames."""
    path = tmp_path / 'film.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 25, SIZE[::-1])
    for frame in filmed([14, 11], 2):
        writer.write(frame)
    writer.release()
    return path


@pytest.mark.parametrize('parts', [1, 2, 3])
def test_a_video_becomes_clips(film: Path, tmp_path: Path, parts: int) -> None:
    assert inspect(str(film)) == Video(25, *SIZE, (0, 14), told=25)
    root = tmp_path / 'store'
    build(root, Header(4, degradation='bd'), from_videos([str(film)], Making(4, bd), 5, parts))
    store = StoreFrames(root)
    assert [clip.sequence for clip in store.clips] == [(f'film/{number:04d}', 5, 72, 96) for number in range(4)]
    capture = cv2.VideoCapture(str(film))
    frames = [capture.read()[1] for _ in range(25)]
    for clip, start in zip(store.clips, [0, 5, 14, 19], strict=True):
        out = np.empty((5, 3, 72, 72), np.uint8)
        store.read_gt(clip.sequence, range(5), Window(0, 3, 72), Flips(), out)
        wanted = [frame[:72, 3:75, ::-1].transpose(2, 0, 1) for frame in frames[start : start + 5]]
        assert np.array_equal(out, wanted)


def test_a_video_is_continued(film: Path, tmp_path: Path) -> None:
    header, root = Header(4, degradation='bd'), tmp_path / 'store'
    material = from_videos([str(film)], Making(4, bd), 5)
    build(root, header, material)
    whole = [(clip.name, clip.sha256) for clip in StoreFrames(root).clips]
    for name in ('0001', '0003'):
        (root / 'clips' / 'film' / f'{name}.clip').unlink()
    build(root, header, material)
    assert [(clip.name, clip.sha256) for clip in StoreFrames(root).clips] == whole


def test_no_video(tmp_path: Path) -> None:
    text = tmp_path / 'film.mp4'
    text.write_text('nothing')
    with pytest.raises(DataError, match='has no frame that can be decoded'):
        from_videos([str(text)], Making(4, bd), 5)
    with pytest.raises(DataError, match=r'nowhere.mp4 does not exist'):
        from_videos([str(tmp_path / 'nowhere.mp4')], Making(4, bd), 5)


def test_shots_that_are_too_short(film: Path) -> None:
    with pytest.raises(DataError, match='--clip-length 20: no shot is as long'):
        from_videos([str(film)], Making(4, bd), 20)
    with pytest.raises(ConfigError, match='videos have no LQ side'):
        from_videos([str(film)], Making(4), 5)


def test_bd_is_a_gaussian_and_every_fourth_pixel() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    lq = bd(frame)
    assert (lq.shape, lq.dtype) == ((6, 8, 3), np.uint8)
    place = np.arange(-6, 7)
    kernel = np.exp(-(place**2) / (2 * BD_SIGMA**2))
    kernel /= kernel.sum()
    padded = np.pad(frame.astype(np.float64), ((6, 6), (6, 6), (0, 0)), mode='reflect')
    for y, x in ((0, 0), (2, 3), (5, 7)):
        around = padded[4 * y : 4 * y + 13, 4 * x : 4 * x + 13]
        assert np.abs(np.einsum('i,j,ijc', kernel, kernel, around) - lq[y, x]).max() <= 0.501

"""Stores of version 1 are read, and `prepare` gives them the checksums of version 2; their pixels stay as they are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from mg_basicsr.data.crops.crop import Flips, Window
from mg_basicsr.data.store.building import build as building
from mg_basicsr.data.store.building.build import build
from mg_basicsr.data.store.building.material import ArrayClip
from mg_basicsr.data.store.format import HEADER, LIST, clip_path, read_header, read_list
from mg_basicsr.data.store.reader import StoreFrames
from mg_basicsr.errors import DataError

DATA = Path(__file__).parents[4] / 'data'


@pytest.fixture(params=['raw', 'zstd'])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return Path(shutil.copytree(DATA / f'store_{request.param}', tmp_path / 'store'))


def frames_of(root: Path) -> list[ArrayClip]:
    """The clips of a store, as material for one."""
    store, found = StoreFrames(root), []
    for clip in store.clips:
        sides = []
        for read, scale in ((store.read_gt, 1), (store.read_lq, 4)):
            height, width = clip.geometry.height // scale, clip.geometry.width // scale
            planes = np.empty((clip.geometry.frames, 3, height, width), np.uint8)
            read(clip.sequence, range(clip.geometry.frames), Window(0, 0, height, width), Flips(), planes)
            sides.append(planes.transpose(0, 2, 3, 1))
        found.append(ArrayClip(clip.name, *sides))
    return found


def assert_same(root: Path, wanted: list[ArrayClip]) -> None:
    for one, other in zip(frames_of(root), wanted, strict=True):
        assert np.array_equal(one.gt, other.gt) and np.array_equal(one.lq, other.lq)


def change_line(root: Path, **changes: object) -> None:
    first, *rest = (root / LIST).read_text().splitlines(keepends=True)
    (root / LIST).write_text(json.dumps({**json.loads(first), **changes}) + '\n' + ''.join(rest))


def test_prepare_converts(store: Path) -> None:
    header = read_header(store)
    assert header.version == 1
    material = frames_of(store)
    times = [clip_path(store, clip.name).stat().st_mtime_ns for clip in StoreFrames(store).clips]
    build(store, header, material)
    assert read_header(store).version == 2
    clips, problems = read_list(store, read_header(store))
    assert not problems and len(clips) == len(material)
    assert [clip_path(store, name).stat().st_mtime_ns for name in clips] == times
    assert all('crc32' in json.loads(line) for line in (store / LIST).read_text().splitlines())
    assert_same(store, material)
    change_line(store, gt_tile=16)
    with pytest.raises(DataError, match='line 1 is damaged'):
        frames_of_first(store)


def frames_of_first(root: Path) -> None:
    store = StoreFrames(root)
    sequence = next(iter(StoreFrames(DATA / 'store_raw').clips)).sequence
    store.read_gt(sequence, [0], Window(0, 0, 16), Flips(), np.empty((1, 3, 16, 16), np.uint8))


def test_a_conversion_that_is_killed(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the list and before the header: version 1 ignores the checksums."""
    header, material = read_header(store), frames_of(store)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(building, 'write_header', killed)
        with pytest.raises(KeyboardInterrupt):
            build(store, header, material)
    assert json.loads((store / HEADER).read_text())['version'] == 1
    assert_same(store, material)
    build(store, header, material)
    assert read_header(store).version == 2
    assert_same(store, material)


@pytest.mark.parametrize('tile', ['gt_tile', 'lq_tile'])
def test_tiles_that_version_1_did_not_make(store: Path, tile: str) -> None:
    change_line(store, **{tile: 16})
    with pytest.raises(DataError, match='line 1 is damaged'):
        frames_of_first(store)


def test_an_old_clip_that_is_damaged_is_made_anew(store: Path) -> None:
    material = frames_of(store)
    path = clip_path(store, material[0].clips[0].name)
    path.write_bytes(path.read_bytes()[:-1])
    build(store, read_header(store), material)
    assert read_header(store).version == 2
    assert_same(store, material)

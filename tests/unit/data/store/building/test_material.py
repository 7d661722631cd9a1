"""Clips in memory as material of a store. Image files and videos: test_build.py, test_video.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mg_basicsr.data.store.building.build import build
from mg_basicsr.data.store.building.material import ArrayClip
from mg_basicsr.data.store.format import Header


def clip(name: str, lq_frames: int = 3) -> ArrayClip:
    return ArrayClip(name, np.zeros((3, 16, 24, 3), np.uint8), np.zeros((lq_frames, 4, 6, 3), np.uint8))


def test_a_clip_describes_itself() -> None:
    (sequence,) = clip('a/b').clips
    assert sequence == ('a/b', 3, 16, 24)


def test_only_wanted_clips_are_opened() -> None:
    assert list(clip('000').open({'001'})) == []
    ((sequence, frames),) = clip('000').open({'000', '001'})
    pairs = list(frames)
    assert sequence.name == '000'
    assert [(pair.gt.shape, pair.lq.shape) for pair in pairs] == [((16, 24, 3), (4, 6, 3))] * 3


def test_clips_can_be_added_by_building_again(tmp_path: Path) -> None:
    build(tmp_path / 'store', Header(4), [clip('000')])
    before = (tmp_path / 'store/clips/000.clip').stat().st_mtime_ns
    found = build(tmp_path / 'store', Header(4), [clip('000'), clip('001')])
    assert [entry.name for entry in found] == ['000', '001']
    assert (tmp_path / 'store/clips/000.clip').stat().st_mtime_ns == before


def test_sides_of_different_length_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='shorter'):
        build(tmp_path / 'store', Header(4), [clip('000', lq_frames=2)])

"""A store against the roots of the training set that is read from it, and against its own files under a reader."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mg_basicsr.data.store.building.build import build
from mg_basicsr.data.store.building.inputs import from_options
from mg_basicsr.data.store.format import Header, clip_path
from mg_basicsr.data.store.opening import differences, open_store
from mg_basicsr.train_set import TrainSetOptions
from tests.helpers.foreign_sets import rename_frames, replace_frames
from tests.helpers.frame_sets import SCALE, block, lmdb_block, to_lmdb, write_reds

CLIPS = {'001': 4, '002': 4}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_reds(tmp_path, CLIPS)
    options = TrainSetOptions.parse(block(tmp_path), SCALE)
    build(tmp_path / 'store', Header(SCALE), from_options(options, 'reds', None))
    return tmp_path


def found(root: Path, values: dict[str, Any]) -> list[str]:
    options = TrainSetOptions.parse(values, SCALE)
    store = open_store(root / 'store', options)
    return [str(problem) for problem in differences(store, options, [clip.sequence for clip in store.clips])]


def test_unchanged_copied_moved_and_absent_frames(root: Path) -> None:
    assert found(root, block(root)) == []
    shutil.copytree(root / 'LQ', root / 'LQ2')
    assert found(root, block(root, dataroot_lq=str(root / 'LQ2'))) == []
    to_lmdb(root, root / 'lmdb')
    assert found(root, lmdb_block(root, root / 'lmdb')) == []
    shutil.rmtree(root / 'GT')
    assert found(root, block(root)) == []


def test_replaced_frames(root: Path) -> None:
    replace_frames(root / 'LQ/002')
    (told,) = found(root, block(root))
    assert 'clip 002 was made from other LQ frames' in told
    assert 'datasets.train.dataroot_lq' in told


@pytest.mark.parametrize('kind', ['other pixels', 'other names', 'empty'])
def test_a_wrong_root(root: Path, kind: str) -> None:
    wrong = shutil.copytree(root / 'LQ', root / 'wrong')
    if kind == 'other pixels':
        replace_frames(wrong)
    elif kind == 'other names':
        rename_frames(wrong, 'im{}.png'.format)
    else:
        shutil.rmtree(wrong)
        wrong.mkdir()
    told = found(root, block(root, dataroot_lq=str(wrong)))
    assert len(told) == 2
    assert all(str(wrong) in text for text in told)


READER = """
import os, sys
import numpy as np
from mg_basicsr.data.crops.crop import Flips, Window
from mg_basicsr.data.listing.sequences import FrameSequence
from mg_basicsr.data.store.reader import StoreFrames
from mg_basicsr.errors import DataError
store, clip, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
frames, out = StoreFrames(store), np.empty((4, 3, 40, 40), np.uint8)
sequence = FrameSequence('001', 4, 1200, 1600)
read = lambda: [read(sequence, range(4), Window(0, 0, 40), Flips(), out) for read in (frames.read_lq, frames.read_gt)]
read()
os.truncate(clip, size)
import time; time.sleep(0.01)
try:
    read()
except DataError as error:
    print(error)
"""


@pytest.mark.parametrize('codec', ['raw', 'zstd'])
@pytest.mark.parametrize('size', [0, 5000])
def test_a_clip_that_is_cut_while_it_is_open(tmp_path: Path, codec: str, size: int) -> None:
    from mg_basicsr.data.store.building.material import ArrayClip

    gt = np.random.default_rng(0).integers(0, 256, (4, 1200, 1600, 3), np.uint8)
    header = Header(SCALE, 'zstd', 4) if codec == 'zstd' else Header(SCALE)
    build(tmp_path / 'store', header, [ArrayClip('001', gt, gt[:, ::4, ::4])])
    path = clip_path(tmp_path / 'store', '001')
    command = [sys.executable, '-c', READER, str(tmp_path / 'store'), str(path), str(size)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert f'store {tmp_path / "store"}, clip 001: {path} has become shorter' in ended.stdout


def test_a_home_folder(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('HOME', str(root))
    assert open_store('~/store', TrainSetOptions.parse(block(root), SCALE)).root == root / 'store'

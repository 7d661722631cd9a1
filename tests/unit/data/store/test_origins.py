"""A store against the roots of the training set that is read from it, and against its own files under a reader."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mg_basicsr.data.store.building.build import build
from mg_basicsr.data.store.building.inputs import from_options
from mg_basicsr.data.store.format import Header, clip_path
from mg_basicsr.data.store.opening import differences, open_store
from mg_basicsr.train_set import TrainSetOptions
from tests.helpers.foreign_sets import rename_frames, replace_frames
from tests.helpers.frame_sets import SCALE, block, lmdb_block, picture, to_lmdb, write_pair, write_reds

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


def half_the_brightness(folder: Path) -> None:
    for path in folder.rglob('*.png'):
        cv2.imwrite(str(path), cv2.imread(str(path)) // 2)


def half_the_size(folder: Path) -> None:
    for path in folder.rglob('*.png'):
        cv2.imwrite(str(path), cv2.imread(str(path))[::2, ::2])


def one_pixel(folder: Path) -> None:
    for path in folder.rglob('*.png'):
        image = cv2.imread(str(path))
        image[-1, -1, 0] ^= 1
        cv2.imwrite(str(path), image)


def no_image(folder: Path) -> None:
    for path in folder.rglob('*.png'):
        path.write_text('version https://git-lfs.github.com/spec/v1')


def other_names(folder: Path) -> None:
    replace_frames(folder)
    rename_frames(folder, 'im{}.png'.format)


CHANGES = [replace_frames, half_the_brightness, half_the_size, one_pixel, no_image, other_names]


@pytest.fixture(params=['made', 'without a record'])
def unrecorded(root: Path, request: pytest.FixtureRequest) -> Path:
    """A set whose store has no record of LQ files: LQ was made from GT, or the store is of an earlier version."""
    shutil.rmtree(root / 'store')
    options = TrainSetOptions.parse(block(root), SCALE)
    if request.param == 'made':
        build(root / 'store', Header(SCALE, degradation='bicubic'), from_options(options, 'reds', every_fourth))
    else:
        build(root / 'store', Header(SCALE), from_options(options, 'reds', None))
        (root / 'store/origins.jsonl').unlink()
    return root


def every_fourth(frame: Any) -> Any:
    return frame[::SCALE, ::SCALE]


@pytest.mark.parametrize('backend', ['disk', 'lmdb'])
def test_equal_pixels_without_a_record(unrecorded: Path, backend: str) -> None:
    values = block(unrecorded)
    if backend == 'lmdb':
        values = lmdb_block(unrecorded, to_lmdb(unrecorded, unrecorded / 'lmdb'))
    assert found(unrecorded, values) == []


def test_lq_that_was_made_and_is_nowhere(root: Path) -> None:
    shutil.rmtree(root / 'store')
    options = TrainSetOptions.parse(block(root), SCALE)
    build(root / 'store', Header(SCALE, degradation='bicubic'), from_options(options, 'reds', every_fourth))
    shutil.rmtree(root / 'LQ')
    assert found(root, block(root)) == []
    (root / 'LQ').mkdir()
    assert found(root, block(root)) == []


def test_other_names_of_equal_frames_without_a_record(unrecorded: Path) -> None:
    rename_frames(unrecorded / 'LQ', '{:03d}.png'.format)
    assert found(unrecorded, block(unrecorded)) == []


@pytest.mark.parametrize(('change', 'backend'), [*((change, 'disk') for change in CHANGES), (one_pixel, 'lmdb')])
def test_other_pixels_without_a_record(unrecorded: Path, change: Callable[[Path], None], backend: str) -> None:
    change(unrecorded / 'LQ')
    values = block(unrecorded)
    if backend == 'lmdb':
        values = lmdb_block(unrecorded, to_lmdb(unrecorded, unrecorded / 'lmdb'))
    told = found(unrecorded, values)
    assert len(told) == len(CLIPS)
    assert all('datasets.train.dataroot_lq' in text and 'LQ frames' in text for text in told)


def test_other_gt_without_a_record(unrecorded: Path) -> None:
    (unrecorded / 'store/origins.jsonl').unlink(missing_ok=True)
    replace_frames(unrecorded / 'GT/001')
    (told,) = found(unrecorded, block(unrecorded))
    assert 'clip 001 was made from other GT frames' in told


@pytest.mark.parametrize('made', [True, False])
@pytest.mark.parametrize('template', ['{}', '{}x4'])
def test_images_without_a_record(tmp_path: Path, made: bool, template: str) -> None:
    for number in range(3):
        name = f'{number}.png'
        write_pair(tmp_path, name, picture(0, number), lq_name=f'{template.format(number)}.png')
    values = block(tmp_path, meta_info_file=None, filename_tmpl=template)
    options = TrainSetOptions.parse(values, SCALE)
    header = Header(SCALE, degradation='bicubic' if made else 'files')
    build(tmp_path / 'store', header, from_options(options, 'images', every_fourth if made else None))
    if not made:
        (tmp_path / 'store/origins.jsonl').unlink()
    assert found(tmp_path, values) == []
    replace_frames(tmp_path / 'LQ')
    assert len(found(tmp_path, values)) == 3

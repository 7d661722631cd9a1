"""Frames as other sets have them: LMDBs that were cut, images that are to be turned, other names and places."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from mg_basicsr.data.datasets.images import PairedImage
from mg_basicsr.data.listing.frame_names import REDS_FRAMES
from mg_basicsr.data.listing.sequences import FrameSequence
from mg_basicsr.data.sources.byte_files import Folder
from mg_basicsr.data.sources.frame_source import open_frames
from mg_basicsr.data.sources.image_files import EncodedSide
from mg_basicsr.errors import MultigridError
from mg_basicsr.train_set import TrainSetOptions
from tests.helpers.foreign_sets import rename_frames, truncated_film
from tests.helpers.frame_sets import SCALE, SIZE, block, picture, to_lmdb, write_pair, write_reds

CLIP = FrameSequence('001', 3, *SIZE)
READER = """
import os, sys
from mg_basicsr.data.sources.byte_files import LmdbFolder
root, size, opened = sys.argv[1], int(sys.argv[2]), sys.argv[3] == 'open'
keys = [f'001/{frame:08d}' for frame in range(60)]
folder = LmdbFolder(root, '--gt')
if opened:
    folder.read(keys[0])
os.truncate(os.path.join(root, 'data.mdb'), size)
for work in (lambda: [folder.read(key) for key in keys], lambda: folder.missing(keys)):
    try:
        work()
    except OSError as error:
        print('told:', error)
"""


@pytest.mark.parametrize('when', ['closed', 'open'])
@pytest.mark.parametrize('share', [0.0, 0.1, 0.5, 0.9])
def test_an_lmdb_that_is_cut(tmp_path: Path, share: float, when: str) -> None:
    """Read in a process of its own, since a read beyond the end would end it."""
    write_reds(tmp_path / 'set', {'001': 60}, (96, 128))
    root = to_lmdb(tmp_path / 'set', tmp_path, ['GT']) / 'GT.lmdb'
    size = int((root / 'data.mdb').stat().st_size * share)
    command = [sys.executable, '-c', READER, str(root), str(size), when]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count('told:') == 2
    assert 'it was cut short' in ended.stdout


def turned(data: bytes, late: bool) -> bytes:
    """A PNG that is to be turned by a quarter when it is shown; the chunk that says so may follow the pixels."""
    exif = b'MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0'
    chunk = struct.pack('>I', len(exif)) + b'eXIf' + exif + struct.pack('>I', zlib.crc32(b'eXIf' + exif))
    at = len(data) - 12 if late else 33
    return data[:at] + chunk + data[at:]


@pytest.mark.parametrize('late', [False, True])
def test_images_are_turned_as_opencv_turns_them(tmp_path: Path, late: bool) -> None:
    write_pair(tmp_path, '001/00000000.png', picture(0, 0))
    for path in tmp_path.rglob('*.png'):
        path.write_bytes(turned(path.read_bytes(), late))
    side = EncodedSide('GT', Folder(str(tmp_path / 'GT'), '--gt', '.png'))
    image = cv2.imread(str(tmp_path / 'GT/001/00000000.png'), cv2.IMREAD_COLOR)
    assert side.shape(CLIP, '001/00000000') == image.shape[:2]
    decoded = side.decode(CLIP, '001/00000000', None)
    assert np.array_equal(decoded, image)


def jpegs(root: Path) -> None:
    for path in sorted((root / 'GT').rglob('*.png')):
        path.rename(path.with_suffix('.jpg'))


def named(pattern: str, first: int = 0) -> Callable[[Path], None]:
    return lambda root: rename_frames(root / 'GT', lambda number: pattern.format(number + first))


def one_clip(root: Path) -> None:
    for path in (root / 'GT/001').iterdir():
        shutil.move(path, root / 'GT')
    (root / 'GT/001').rmdir()


def videos(root: Path) -> None:
    shutil.rmtree(root / 'GT/001')
    truncated_film(root / 'GT/film.avi', 3, 1)


def an_lmdb(root: Path) -> None:
    to_lmdb(root, root / 'database', ['GT'])
    shutil.rmtree(root / 'GT')
    shutil.move(root / 'database/GT.lmdb', root / 'GT')


NAMES = {
    'jpeg': (jpegs, '00000000.jpg', 'prepare --gt'),
    'upper case': (named('{:08d}.PNG'), '00000000.PNG', 'prepare --gt'),
    'from one': (named('{:08d}.png', 1), '00000001.png', 'prepare --gt'),
    'six digits': (named('{:06d}.png'), '000000.png', 'prepare --gt'),
    'suffix': (named('{:08d}x4.png'), '00000000x4.png', 'prepare --gt'),
    'one clip': (one_clip, 'has images and no folder of that clip', 'datasets.train.dataroot_gt to the folder'),
    'videos': (videos, 'film.avi', 'make a store of them: `mg-basicsr prepare --gt'),
    'lmdb': (an_lmdb, 'is an LMDB', 'io_backend.type: lmdb'),
}


@pytest.mark.parametrize('name', NAMES)
def test_what_is_there_in_place_of_frames(tmp_path: Path, name: str) -> None:
    change, there, remedy = NAMES[name]
    root = write_reds(tmp_path, {'001': 3})
    change(root)
    source = open_frames(TrainSetOptions.parse(block(root), SCALE), REDS_FRAMES)
    (problem,) = source.problems(CLIP)
    assert '00000000.png' in problem.what
    assert there in problem.what
    assert remedy in problem.remedy


@pytest.mark.parametrize(
    ('lq', 'told'),
    [('{}x4.png', 'filename_tmpl: {}x4 would find'), ('{}.jpg', 'must have the extension of their GT image')],
)
def test_image_pairs_of_other_names(tmp_path: Path, lq: str, told: str) -> None:
    write_pair(tmp_path, '0001.png', picture(0, 0), lq_name='x.png')
    (tmp_path / 'LQ/x.png').rename(tmp_path / 'LQ' / lq.format('0001'))
    with pytest.raises(MultigridError) as error:
        PairedImage(TrainSetOptions.parse(block(tmp_path, meta_info_file=None), SCALE))
    assert told in str(error.value)
    assert lq.format('0001') in str(error.value)


@pytest.mark.parametrize('file', ['Thumbs.db', '.DS_Store', 'desktop.ini'])
def test_files_beside_images(tmp_path: Path, file: str) -> None:
    write_pair(tmp_path, '0001.png', picture(0, 0))
    (tmp_path / 'GT' / file).write_text('no image')
    assert len(PairedImage(TrainSetOptions.parse(block(tmp_path, meta_info_file=None), SCALE))) == 1

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


def one_level_too_high(root: Path) -> None:
    shutil.move(root / 'GT', root / 'inner')
    (root / 'GT').mkdir()
    shutil.move(root / 'inner', root / 'GT/train')


def two_levels_too_high(root: Path) -> None:
    one_level_too_high(root)
    one_level_too_high(root)


def archives(root: Path) -> None:
    shutil.make_archive(str(root / 'GT/001'), 'zip', root / 'GT/001')
    shutil.rmtree(root / 'GT/001')


def a_store(root: Path) -> None:
    shutil.rmtree(root / 'GT')
    (root / 'GT').mkdir()
    (root / 'GT/store.json').write_text('{}')


def named_folder(name: str) -> Callable[[Path], None]:
    return lambda root: (root / 'GT/001').rename(root / 'GT' / name) and None


def a_video_in_the_folder(root: Path) -> None:
    shutil.rmtree(root / 'GT/001')
    (root / 'GT/001').mkdir()
    (root / 'GT/001/film.mp4').write_bytes(b'x')


def another_format(root: Path) -> None:
    for path in list((root / 'GT/001').iterdir()):
        path.rename(path.with_suffix('.exr'))


def an_empty_folder(root: Path) -> None:
    shutil.rmtree(root / 'GT/001')
    (root / 'GT/001').mkdir()


NAMES = {
    'jpeg': (jpegs, '00000000.jpg', 'prepare --gt'),
    'upper case': (named('{:08d}.PNG'), '00000000.PNG', 'prepare --gt'),
    'from one': (named('{:08d}.png', 1), '00000001.png', 'prepare --gt'),
    'six digits': (named('{:06d}.png'), '000000.png', 'prepare --gt'),
    'suffix': (named('{:08d}x4.png'), '00000000x4.png', 'prepare --gt'),
    'one clip': (one_clip, 'has images and no folder of that clip', 'datasets.train.dataroot_gt to the folder'),
    'videos': (videos, 'film.avi', 'make a store of them: `mg-basicsr prepare --gt'),
    'lmdb': (an_lmdb, 'is an LMDB', 'io_backend.type: lmdb'),
    'one level too high': (one_level_too_high, '001 is in ', '/GT/train'),
    'two levels too high': (two_levels_too_high, '001 is in ', '/GT/train/train'),
    'archives': (archives, 'has archives: 001.zip', 'unpack them'),
    'store': (a_store, 'is a crop store', 'set multigrid.store'),
    'other padding': (named_folder('1'), 'GT has 1', 'meta_info_file as the folders are: 1'),
    'prefix': (named_folder('clip_001'), 'GT has clip_001', 'meta_info_file as the folders are: clip_001'),
    'video in the folder': (a_video_in_the_folder, '001 has no images, but film.mp4', 'a folder of its frames'),
    'another format': (another_format, 'has no images, but 00000000.exr', ''),
    'empty': (an_empty_folder, '001 is empty', ''),
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


def test_names_of_a_list_that_begin_with_a_folder_above(tmp_path: Path) -> None:
    source = open_frames(TrainSetOptions.parse(block(write_reds(tmp_path, {'001': 3})), SCALE), REDS_FRAMES)
    found = source.problems(CLIP._replace(name='train/001'))
    assert [problem.remedy.rpartition(': ')[2] for problem in found] == ['001', '001']


@pytest.mark.parametrize(('clip', 'told'), [('001', ''), ('002', ': its keys are such as 001/00000000')])
def test_keys_of_an_lmdb(tmp_path: Path, clip: str, told: str) -> None:
    """Those of a clip that is there are not shown: a frame of it is lost."""
    root = to_lmdb(write_reds(tmp_path / 'set', {'001': 3}), tmp_path)
    options = block(root, io_backend={'type': 'lmdb'}, dataroot_gt=f'{root}/GT.lmdb', dataroot_lq=f'{root}/LQ.lmdb')
    source = open_frames(TrainSetOptions.parse(options, SCALE), REDS_FRAMES)
    found = source.problems(CLIP._replace(name=clip, frames=4))
    assert [problem.what.endswith(f'does not exist{told}') for problem in found] == [True, True]


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

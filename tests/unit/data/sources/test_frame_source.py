"""Reading crops from folders and LMDBs, and everything that can be wrong with a frame."""

from __future__ import annotations

import os
import pickle
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import lmdb
import numpy as np
import pytest

from mg_basicsr.data.crops.crop import Flips, Pixels, Window
from mg_basicsr.data.listing.frame_names import REDS_FRAMES
from mg_basicsr.data.listing.sequences import FrameSequence
from mg_basicsr.data.sources import byte_files as files
from mg_basicsr.data.sources.byte_files import Folder, LmdbFolder
from mg_basicsr.data.sources.flow_files import dequantised
from mg_basicsr.data.sources.frame_source import EncodedFrames, FrameSource, open_frames
from mg_basicsr.errors import ConfigError, DataError
from mg_basicsr.train_set import TrainSetOptions
from tests.helpers.frame_sets import SCALE, SIZE, block, lmdb_block, picture, write_flows, write_reds

CLIP = FrameSequence('001', 37, *SIZE)
WINDOW = Window(2, 3, 8)


@pytest.fixture
def folders(reds: Path) -> EncodedFrames:
    return open_frames(TrainSetOptions.parse(block(reds), SCALE), REDS_FRAMES)


@pytest.fixture
def databases(reds: Path, reds_lmdb: Path) -> EncodedFrames:
    return open_frames(TrainSetOptions.parse(lmdb_block(reds, reds_lmdb), SCALE), REDS_FRAMES)


@pytest.fixture
def own_set(tmp_path: Path) -> Path:
    """A set that a test may damage: one clip of 3 frames."""
    return write_reds(tmp_path / 'set', {'001': 3})


def read(source: FrameSource, side: str, clip: FrameSequence, frames: list[int], window: Window) -> Pixels:
    """Crops (t, size, size, 3), not flipped."""
    planes = np.empty((len(frames), 3, window.size, window.size), np.uint8)
    getattr(source, f'read_{side}')(clip, frames, window, Flips(), planes)
    return planes.transpose(0, 2, 3, 1)


def read_frame_1(root: Path, scale: int = SCALE) -> None:
    source = open_frames(TrainSetOptions.parse(block(root), scale), REDS_FRAMES)
    sequence = FrameSequence('001', 3, *SIZE)
    read(source, 'gt', sequence, [1], WINDOW)
    read(source, 'lq', sequence, [1], Window(0, 0, 2))


def test_crops_are_those_of_the_frames_in_rgb(folders: EncodedFrames) -> None:
    gt = read(folders, 'gt', CLIP, [4, 2, 36], WINDOW)
    assert (gt.shape, gt.dtype) == ((3, 8, 8, 3), np.uint8)
    for crop, frame in zip(gt, [4, 2, 36], strict=True):
        assert np.array_equal(crop, WINDOW.cut(picture(1, frame))[..., ::-1])
    lq = read(folders, 'lq', CLIP, [4], Window(2, 3, 8))
    assert np.array_equal(lq[0], WINDOW.cut(picture(1, 4)[::SCALE, ::SCALE])[..., ::-1])


def test_lmdb_and_folder_are_alike(folders: EncodedFrames, databases: EncodedFrames) -> None:
    for side in ('lq', 'gt'):
        crops = [read(source, side, CLIP, [0, 36], Window(1, 2, 6)) for source in (folders, databases)]
        assert np.array_equal(*crops)
    assert folders.gt_shape(CLIP) == databases.gt_shape(CLIP) == SIZE
    assert folders.problems(CLIP) == databases.problems(CLIP) == []


def test_sources_can_be_pickled_after_use(folders: EncodedFrames, databases: EncodedFrames) -> None:
    for source in (folders, databases):
        crops = read(source, 'gt', CLIP, [5], WINDOW)
        assert np.array_equal(read(pickle.loads(pickle.dumps(source)), 'gt', CLIP, [5], WINDOW), crops)


@pytest.mark.filterwarnings('ignore:This process .* is multi-threaded:DeprecationWarning')
def test_an_lmdb_that_is_open_can_be_read_after_a_fork(databases: EncodedFrames) -> None:
    crops = read(databases, 'gt', CLIP, [5], WINDOW)
    child = os.fork()
    if child == 0:
        same = False
        try:
            same = np.array_equal(read(databases, 'gt', CLIP, [5], WINDOW), crops)
            same = same and os.getpid() in {opened.owner for opened in files._environments.values()}  # opened anew
        finally:
            os._exit(0 if same else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert np.array_equal(read(databases, 'gt', CLIP, [6], WINDOW)[0, 0, 0], [56, 2, 3])


def no_file(path: Path) -> None:
    path.unlink()


def empty_file(path: Path) -> None:
    path.write_bytes(b'')


def half_a_file(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def changed_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def not_an_image(path: Path) -> None:
    path.write_text('<html>')


def absurd_size(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[16:24] = b'\x00\x10\x00\x00' * 2  # 2^20 x 2^20 pixels
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, 'big')
    path.write_bytes(data)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def smaller(path: Path) -> None:
    cv2.imwrite(str(path), cv2.imread(str(path))[:-1])


@pytest.mark.parametrize('side', ['GT', 'LQ'])
@pytest.mark.parametrize(
    ('damage', 'told'),
    [(no_file, 'does not exist'), (empty_file, r'cannot be decoded \(0 bytes\)'), (half_a_file, 'cannot be decoded'),
     (changed_byte, 'cannot be decoded'), (not_an_image, 'cannot be decoded'),
     (absurd_size, 'cannot be decoded'), (a_folder, 'cannot be read: '),
     (smaller, r'is \d+x\d+ pixels')],
)  # fmt: skip
def test_a_bad_frame_is_named(own_set: Path, side: str, damage: Callable[[Path], None], told: str) -> None:
    read_frame_1(own_set)
    path = own_set / side / '001' / '00000001.png'
    damage(path)
    with pytest.raises(DataError, match=told) as error:
        read_frame_1(own_set)
    (problem,) = error.value.problems
    assert str(problem).partition('\n')[0].startswith(f'{side} frame {path} (clip 001, frame 00000001) ')
    assert problem.allowed.startswith('allowed: ')
    assert problem.remedy


def test_a_scale_that_does_not_fit(own_set: Path) -> None:
    with pytest.raises(DataError) as error:
        read_frame_1(own_set, scale=2)
    (problem,) = error.value.problems
    assert (
        str(problem)
        .partition('\n')[0]
        .endswith('00000001.png (clip 001, frame 00000001) is 12x16 pixels (height x width)')
    )
    assert problem.allowed == 'allowed: 24x32, since its GT is 48x64 and scale is 2'
    assert 'datasets.train.dataroot_lq' in problem.remedy


def test_a_meta_file_that_does_not_fit(folders: EncodedFrames) -> None:
    with pytest.raises(DataError, match=r'is 48x64 pixels.*\n.*allowed: 96x64, the size of this clip in the meta file'):
        read(folders, 'gt', CLIP._replace(height=96), [0], WINDOW)


def test_a_missing_lmdb_key_is_named(databases: EncodedFrames, reds_lmdb: Path) -> None:
    with pytest.raises(DataError) as error:
        read(databases, 'lq', CLIP._replace(frames=40), [37], WINDOW)
    assert str(error.value.problems[0]).partition('\n')[0] == (
        f'LQ frame {reds_lmdb / "LQ.lmdb"} (LMDB), key 001/00000037 (clip 001, frame 00000037) does not exist'
    )


def test_a_damaged_lmdb_value_is_named(tmp_path: Path) -> None:
    for side in ('GT', 'LQ'):
        (tmp_path / f'{side}.lmdb').mkdir()
        with lmdb.open(str(tmp_path / f'{side}.lmdb')) as environment, environment.begin(write=True) as transaction:
            transaction.put(b'001/00000000', b'nothing')
    source = open_frames(TrainSetOptions.parse(lmdb_block(tmp_path, tmp_path), SCALE), REDS_FRAMES)
    with pytest.raises(DataError, match=r'GT.lmdb \(LMDB\), key 001/00000000 .* cannot be decoded \(7 bytes\)'):
        read(source, 'gt', CLIP, [0], WINDOW)


def test_a_damaged_lmdb_is_named(tmp_path: Path) -> None:
    for side in ('GT', 'LQ'):
        (tmp_path / f'{side}.lmdb').mkdir()
        (tmp_path / f'{side}.lmdb' / 'data.mdb').write_bytes(b'x' * 9000)
    source = open_frames(TrainSetOptions.parse(lmdb_block(tmp_path, tmp_path), SCALE), REDS_FRAMES)
    with pytest.raises(DataError, match=r'GT.lmdb \(LMDB\), key 001/00000000 .* cannot be read'):
        read(source, 'gt', CLIP, [0], WINDOW)
    assert 'cannot be looked up' in source.problems(CLIP)[0].what


def test_roots_that_do_not_exist_are_told_together(tmp_path: Path) -> None:
    for type_, wrong in (('disk', 'is not a folder'), ('lmdb', 'is not an LMDB folder')):
        options = TrainSetOptions.parse(block(tmp_path, dataroot_flow='no', io_backend={'type': type_}), SCALE)
        with pytest.raises(ConfigError) as error:
            open_frames(options, REDS_FRAMES)
        told = [str(problem).partition('\n')[0] for problem in error.value.problems]
        assert told == [
            f'datasets.train.dataroot_lq: {tmp_path / "LQ"} {wrong}',
            f'datasets.train.dataroot_gt: {tmp_path / "GT"} {wrong}',
            f'datasets.train.dataroot_flow: no {wrong}',
        ]


def test_missing_frames_are_found_without_reading(own_set: Path) -> None:
    source = open_frames(TrainSetOptions.parse(block(own_set), SCALE), REDS_FRAMES)
    half_a_file(own_set / 'GT' / '001' / '00000000.png')
    (own_set / 'GT' / '001' / '00000002.png').unlink()
    shutil.rmtree(own_set / 'LQ' / '001')
    lq, gt = source.problems(FrameSequence('001', 3, *SIZE))
    assert (
        str(lq)
        .partition('\n')[0]
        .startswith(f'3 of 3 frames are missing: LQ frame {own_set / "LQ" / "001" / "00000000.png"} ')
    )
    assert (
        str(gt)
        .partition('\n')[0]
        .startswith(f'1 of 3 frames are missing: GT frame {own_set / "GT" / "001" / "00000002.png"} ')
    )
    assert 'clip 001' in str(gt).partition('\n')[0]


def test_missing_keys_are_found(databases: EncodedFrames) -> None:
    lq, gt = databases.problems(CLIP._replace(frames=40))
    assert str(lq).partition('\n')[0].startswith('3 of 40 frames are missing: LQ frame ')
    assert 'key 001/00000037' in str(gt).partition('\n')[0]


def test_one_scan_per_folder(reds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scanned = []
    scandir = os.scandir
    monkeypatch.setattr(os, 'scandir', lambda path: scanned.append(path) or scandir(path))
    folder = Folder(str(reds / 'GT'), 'datasets.train.dataroot_gt', '.png')
    assert folder.missing([f'001/{frame:08d}' for frame in range(37)]) == []
    assert len(scanned) == 1


def test_header_bytes_are_enough_for_a_shape(reds: Path, reds_lmdb: Path) -> None:
    for root in (Folder(str(reds / 'GT'), 'x', '.png'), LmdbFolder(str(reds_lmdb / 'GT.lmdb'), 'x')):
        assert len(root.read('001/00000000', 24)) == 24


def test_flow_files_hold_x_above_y(tmp_path: Path) -> None:
    root = write_reds(tmp_path, {'001': 3})
    write_flows(root, '001', 3, reach=1)
    options = TrainSetOptions.parse(block(root, dataroot_flow=str(root / 'flow')), SCALE)
    sequence = FrameSequence('001', 3, *SIZE)
    before, itself, after = open_frames(options, REDS_FRAMES).read_flow(sequence, 1, [-1, 0, 1], Window(1, 2, 8))
    for flow, name in ((before, 'p1'), (after, 'n1')):
        levels = cv2.imread(str(root / 'flow' / '001' / f'00000001_{name}.png'), cv2.IMREAD_GRAYSCALE)
        assert np.array_equal(flow[..., 0], dequantised(levels[1:9, 2:10]))
        assert np.array_equal(flow[..., 1], dequantised(levels[13:21, 2:10]))
    assert not itself.any()


def test_dequantised_flow_is_basicsrs() -> None:
    """Levels in steps of 40 / 255 pixels; level 127 is no motion."""
    flow = dequantised(np.array([0, 127, 254], np.uint8))
    assert flow.dtype == np.float32
    assert flow.tolist() == pytest.approx([-20 + 20 / 255, 0, 20 - 20 / 255])
    assert flow[1] == 0


@pytest.mark.parametrize('kind', ['pipe', 'endless', 'folder', 'circle'])
def test_a_frame_that_is_no_file_is_named_and_not_waited_for(tmp_path: Path, kind: str) -> None:
    write_reds(tmp_path, {'001': 3})
    path = tmp_path / 'LQ/001/00000001.png'
    path.unlink()
    if kind == 'pipe':
        os.mkfifo(path)
    elif kind == 'folder':
        path.mkdir()
    else:
        path.symlink_to('/dev/zero' if kind == 'endless' else path)
    source = open_frames(TrainSetOptions.parse(block(tmp_path), SCALE), REDS_FRAMES)
    with pytest.raises(DataError, match=rf'LQ frame {path} \(clip 001, frame 00000001\) cannot be read'):
        read(source, 'lq', FrameSequence('001', 3, *SIZE), [1], Window(0, 0, 8))

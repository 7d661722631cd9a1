"""Whatever is wrong with a store: a clear error, nothing executed, the rest of it usable."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard
from numpy.typing import NDArray

from mg_basicsr.data.crops.crop import Flips, Window
from mg_basicsr.data.listing.sequences import FrameSequence
from mg_basicsr.data.store.building.verify import verify
from mg_basicsr.data.store.codec import Codec
from mg_basicsr.data.store.format import CLIPS, HEADER, LIST, _crc32, clip_path, is_name, read_header, read_list
from mg_basicsr.data.store.opening import open_store
from mg_basicsr.data.store.reader import StoreFrames
from mg_basicsr.errors import ConfigError, DataError
from mg_basicsr.train_set import TrainSetOptions
from tests.helpers.frame_sets import SCALE, block
from tests.helpers.store_sets import MakeStore

HUGE = '9' * 5000
CONTINUE = 'run `mg-basicsr prepare` again with the same arguments'


@pytest.fixture(scope='module', params=['raw', 'zstd'])
def whole(request: pytest.FixtureRequest, reds: Path, make_store: MakeStore) -> Path:
    return make_store(TrainSetOptions.parse(block(reds), SCALE), 'reds', request.param)


@pytest.fixture
def store(whole: Path, tmp_path: Path) -> Path:
    """A store that a test may damage: clips 000 of 6 frames, 001 of 37, 002 of 9."""
    return Path(shutil.copytree(whole, tmp_path / 'store'))


def read(root: Path, name: str, frames: int) -> NDArray[np.uint8]:
    out = np.empty((frames, 3, 40, 40), np.uint8)
    StoreFrames(root).read_gt(FrameSequence(name, frames, 48, 64), range(frames), Window(0, 0, 40), Flips(), out)
    return out


def assert_damaged(root: Path, told: str, remedy: str = CONTINUE) -> None:
    """Clip 001 cannot be read, the others can."""
    with pytest.raises(DataError) as error:
        read(root, '001', 37)
    problem = error.value.problems[-1]
    assert str(root) in str(problem).partition('\n')[0]
    assert 'clip 001' in str(problem).partition('\n')[0]
    assert told in str(error.value)
    assert problem.allowed.startswith('allowed: ')
    assert remedy in problem.remedy
    read(root, '000', 6)
    read(root, '002', 9)


def change_header(root: Path, **changes: Any) -> None:
    values = json.loads((root / HEADER).read_text())
    (root / HEADER).write_text(json.dumps({**values, **changes}))


def change_line(root: Path, checksum: bool = False, **changes: Any) -> None:
    """Changes the line of clip 001; `checksum` makes one that fits."""
    lines = (root / LIST).read_text().splitlines()
    values = {**json.loads(lines[1]), **changes}
    if checksum:
        values['crc32'] = _crc32(read_header(root), values)
    lines[1] = json.dumps(values)
    (root / LIST).write_text('\n'.join([*lines, '']))


@pytest.mark.parametrize('changes', [
    {'scale': 0}, {'scale': True}, {'scale': '4'}, {'scale': 4.0}, {'scale': None}, {'scale': 10**9}, {'scale': [4]},
    {'codec': 'pickle'}, {'codec': None}, {'codec': ['raw']}, {'block': -1}, {'block': 10**6}, {'block': 'x'},
    {'degradation': 'unknown'}, {'degradation': {}}, {'version': 0}, {'version': '1'}, {'version': True},
    {'format': 'other'},
])  # fmt: skip
def test_header_values(store: Path, changes: dict[str, Any]) -> None:
    change_header(store, **changes)
    with pytest.raises(DataError, match='is damaged') as error:
        StoreFrames(store)
    assert str(store / HEADER) in str(error.value.problems[0]).partition('\n')[0]
    assert 'prepare the store again' in error.value.problems[0].remedy


@pytest.mark.parametrize('text', [
    '', '{', '[]', 'null', '"store"', '\x80', '[' * 100_000, f'{{"version": {HUGE}}}', ' ' * 100_000 + '{}', '{}',
    '{"format": "mg-basicsr store", "version": 1e400}', '{"format": "mg-basicsr store", "version": NaN}',
])  # fmt: skip
def test_header_text(store: Path, text: str) -> None:
    (store / HEADER).write_bytes(text.encode('latin-1'))
    with pytest.raises(DataError, match='is damaged'):
        StoreFrames(store)


def test_a_later_version(store: Path) -> None:
    change_header(store, version=3, codec='something new')
    with pytest.raises(DataError, match=r'version 3, made by a later version.*\n.*allowed: version 1 to 2\n.*update'):
        StoreFrames(store)


def test_no_store(tmp_path: Path) -> None:
    with pytest.raises(DataError, match='is not a store'):
        StoreFrames(tmp_path)


@pytest.mark.parametrize('changes', [
    {'name': '../../etc/passwd'}, {'name': '/etc/passwd'}, {'name': 'a/../b'}, {'name': ''}, {'name': 'a//b'},
    {'name': './a'}, {'name': 'a\\b'}, {'name': 'a\0b'}, {'name': 'x' * 5000}, {'name': 7}, {'name': None},
    {'name': []}, {'frames': 0}, {'frames': -37}, {'frames': 37.0}, {'frames': True}, {'frames': None},
    {'frames': 2**70},
    {'height': 0}, {'height': 10**9}, {'height': 50}, {'width': '64'}, {'gt_tile': 0}, {'lq_tile': -20},
    {'bytes': 0}, {'bytes': 2**63}, {'bytes': '1'}, {'sha256': ''}, {'sha256': 'A' * 64}, {'sha256': 5},
])  # fmt: skip
def test_lines(store: Path, changes: dict[str, Any]) -> None:
    change_line(store, **changes)
    assert_damaged(store, f'{store / LIST}, line 2 is damaged')
    change_line(store, checksum=True)
    assert_damaged(store, f'{store / LIST}, line 2 is damaged')


@pytest.mark.parametrize(
    'line', [b'', b'{', b'[1]', b'\xff\xfe', b'[' * 4000, b'{"frames": ' + HUGE[:4000].encode() + b'}']
)
def test_lines_that_are_no_objects(store: Path, line: bytes) -> None:
    lines = (store / LIST).read_bytes().split(b'\n')
    (store / LIST).write_bytes(b'\n'.join([lines[0], line, *lines[2:]]))
    assert_damaged(store, 'line 2 is damaged')


def test_a_line_that_was_being_written(store: Path) -> None:
    lines = (store / LIST).read_text().splitlines(keepends=True)
    (store / LIST).write_text(lines[0] + lines[2] + lines[1][:-1])
    assert_damaged(store, 'is not in the store')


def test_no_list(store: Path) -> None:
    (store / LIST).unlink()
    with pytest.raises(DataError, match='clip 000 is not in the store'):
        read(store, '000', 6)


@pytest.mark.parametrize('changes', [{'frames': 36}, {'width': 60}, {'height': 44}])
def test_a_line_that_does_not_fit_the_file(store: Path, changes: dict[str, int]) -> None:
    """In a compressed store the sizes of files don't tell; the list of the training set does."""
    change_line(store, checksum=True, **changes)
    raw = read_header(store).codec == 'raw'
    told = 'line 2 is damaged' if raw else 'in the store'
    assert_damaged(store, told, CONTINUE if raw else 'correct the meta file')


@pytest.mark.parametrize(
    'changes', [{'gt_tile': 16}, {'lq_tile': 20}, {'gt_tile': 16, 'lq_tile': 8}, {'frames': 36}, {'sha256': '0' * 64},
                {'crc32': None}, {'crc32': '0' * 8}, {'crc32': 0}, {'crc32': ['0' * 8]}]
)  # fmt: skip
def test_a_line_that_is_not_as_it_was_written(store: Path, changes: dict[str, Any]) -> None:
    """Another tile size would give pixels of other places."""
    change_line(store, **changes)
    assert_damaged(store, f'{store / LIST}, line 2 is damaged')


@pytest.mark.parametrize('changes', [{'scale': 2}, {'block': 3}])
def test_a_header_that_does_not_fit_the_list(store: Path, changes: dict[str, int]) -> None:
    if read_header(store).codec == 'raw' and 'block' in changes:
        pytest.skip('no blocks')
    change_header(store, **changes)
    with pytest.raises(DataError, match='line 1 is damaged'):
        read(store, '000', 6)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def longer(path: Path) -> None:
    os.truncate(path, path.stat().st_size + 1)


def gone(path: Path) -> None:
    path.unlink()


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def socket_file(path: Path) -> None:
    path.unlink()
    before = os.getcwd()
    os.chdir(path.parent)  # names of sockets are short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(before)


def link(path: Path) -> None:
    """To the very file."""
    moved = path.with_name('elsewhere')
    path.rename(moved)
    path.symlink_to(moved)


def broken_link(path: Path) -> None:
    path.unlink()
    path.symlink_to('nowhere')


@pytest.mark.parametrize('damage', [cut, empty, longer, gone, folder, fifo, socket_file, link, broken_link])
def test_files(store: Path, damage: Callable[[Path], None]) -> None:
    path = clip_path(store, '001')
    damage(path)
    assert_damaged(store, str(path))
    problems = StoreFrames(store).problems(FrameSequence('001', 37, 48, 64))
    assert len(problems) == 1
    assert 'clip 001' in str(problems[0]).partition('\n')[0]
    with pytest.raises(DataError, match='clip 001'):
        verify(store)


@pytest.mark.parametrize('name', [HEADER, LIST])
@pytest.mark.parametrize('damage', [folder, fifo, socket_file, link])
def test_header_and_list_are_files(store: Path, name: str, damage: Callable[[Path], None]) -> None:
    damage(store / name)
    with pytest.raises(DataError, match=f'{name} (is a|cannot be read)') as error:
        read(store, '001', 37)
    assert str(store / name) in str(error.value)


def test_a_folder_that_is_a_link(store: Path) -> None:
    (store / CLIPS).rename(store / 'elsewhere')
    (store / CLIPS).symlink_to('elsewhere')
    with pytest.raises(DataError, match=r'clip 001.*is below a symbolic link'):
        read(store, '001', 37)


def test_the_store_itself_may_be_a_link(store: Path, tmp_path: Path) -> None:
    (tmp_path / 'link').symlink_to(store)
    read(tmp_path / 'link', '001', 37)


def test_another_byte_is_found_by_its_checksum(store: Path) -> None:
    assert verify(store) == 3
    path = clip_path(store, '001')
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match='has changed: its checksum') as error:
        verify(store)
    assert f'clip 001: {path}' in str(error.value.problems[0]).partition('\n')[0]
    assert CONTINUE in error.value.problems[0].remedy


@pytest.mark.parametrize('whole', ['zstd'], indirect=True)
@pytest.mark.parametrize('seed', range(40))
def test_random_bytes_in_a_compressed_clip(store: Path, seed: int) -> None:
    """The same pixels, or an error that names the clip: never anything else."""
    path = clip_path(store, '001')
    before = read(store, '001', 37)
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(seed)
    for place in rng.integers(0, len(data) if seed % 2 else 4000, 20):
        data[place] = int(rng.integers(256))
    path.write_bytes(data)
    try:
        assert np.array_equal(read(store, '001', 37), before)
    except DataError as error:
        assert 'clip 001' in str(error.problems[0]).partition('\n')[0]


@pytest.mark.parametrize('whole', ['zstd'], indirect=True)
def test_an_index_that_asks_for_more_than_there_is(store: Path) -> None:
    path = clip_path(store, '001')
    data = bytearray(path.read_bytes())
    data[:8] = (2**64 - 1).to_bytes(8, 'little')
    path.write_bytes(data)
    assert_damaged(store, 'has a damaged index')
    os.truncate(path, 100)
    change_line(store, checksum=True, bytes=100)
    assert_damaged(store, 'less than its index')


def test_a_block_of_another_size_is_not_decompressed(monkeypatch: pytest.MonkeyPatch) -> None:
    codec = Codec()
    small = zstandard.ZstdCompressor().compress(bytes(10**8))
    monkeypatch.setattr(codec, '_decompressor', None)
    with pytest.raises(ValueError, match='another size'):
        codec.decompress(memoryview(small), (4, 1, 3, 4))


def test_a_set_that_is_not_in_the_store(reds: Path, store: Path) -> None:
    options = TrainSetOptions.parse(block(reds), SCALE)
    sequences = [FrameSequence(f'{number:03d}', 6, 48, 64) for number in range(9)]
    with pytest.raises(DataError) as error:
        open_store(store, options, sequences)
    told = str(error.value)
    assert 'clip 001 has 37 frames of 48x64 in the store\n  allowed: 6 frames of 48x64' in told
    assert 'clip 003 is not in the store' in told
    assert 'and 3 more of this kind' in told


def test_another_scale(reds: Path, store: Path) -> None:
    options = TrainSetOptions.parse(block(reds), 2)
    with pytest.raises(ConfigError, match=r'scale: 2, but the store .* has scale 4'):
        open_store(store, options)


@pytest.mark.parametrize(
    ('name', 'allowed'),
    [('000', True), ('00001/0001', True), ('a b.png', True), ('ä/ö', True), ('..', False), ('a/..', False),
     ('a/', False), ('a\n', False), ('x' * 201, False)],
)  # fmt: skip
def test_names(name: str, allowed: bool) -> None:
    assert is_name(name) is allowed


def test_files_are_below_the_store(store: Path) -> None:
    clips, problems = read_list(store, read_header(store))
    assert not problems
    assert all(clip_path(store, name).is_relative_to(store / CLIPS) for name in clips)

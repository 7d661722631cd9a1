"""Building: what goes wrong with one clip, with the disk, or with the process, and how it continues."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import pytest

from mg_basicsr import atomic_files
from mg_basicsr.data.crops.degradation import bd
from mg_basicsr.data.store.building import writer
from mg_basicsr.data.store.building.build import build
from mg_basicsr.data.store.building.inputs import Making, from_options, from_roots
from mg_basicsr.data.store.building.material import Material
from mg_basicsr.data.store.building.verify import verify
from mg_basicsr.data.store.format import HEADER, LIST, META, Header, clip_path, read_list
from mg_basicsr.data.store.origins import ORIGINS
from mg_basicsr.data.store.reader import StoreFrames
from mg_basicsr.errors import ConfigError, DataError
from mg_basicsr.train_set import TrainSetOptions
from tests.helpers.frame_sets import SCALE, block, write_reds
from tests.helpers.store_sets import write_noise

RAW = Header(SCALE)


@pytest.fixture
def own_set(tmp_path: Path) -> Path:
    """A set that a test may damage: clips of 3 frames."""
    return write_reds(tmp_path / 'set', {'001': 3, '002': 3, '003': 3})


def material(root: Path) -> list[Material]:
    return list(from_options(TrainSetOptions.parse(block(root), SCALE), 'reds', None))


def contents(root: Path) -> dict[str, bytes]:
    """The files; without the record of origins, which holds times."""
    files = sorted(path for path in root.rglob('*') if path.is_file() and path.name != ORIGINS)
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def test_progress_and_lists(own_set: Path, tmp_path: Path) -> None:
    told: list[int] = []
    root = tmp_path / 'store'
    clips = build(root, RAW, material(own_set), progress=told.append)
    assert told == [0, 1, 2, 3]
    assert [clip.name for clip in clips] == ['001', '002', '003']
    assert (root / META).read_text() == (own_set / 'meta.txt').read_text()
    assert not list(root.rglob('*.part'))
    before = contents(root)
    build(root, RAW, material(own_set), progress=told.append)
    assert told[4:] == [3]
    assert contents(root) == before


def test_several_processes_build_the_same(own_set: Path, tmp_path: Path) -> None:
    build(tmp_path / 'one', RAW, material(own_set))
    build(tmp_path / 'two', RAW, material(own_set), workers=2)
    assert contents(tmp_path / 'one') == contents(tmp_path / 'two')


def damaged(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:50])


def missing(path: Path) -> None:
    path.unlink()


def smaller(path: Path) -> None:
    cv2.imwrite(str(path), cv2.imread(str(path))[:-4])


@pytest.mark.parametrize('side', ['GT', 'LQ'])
@pytest.mark.parametrize(
    ('damage', 'told', 'workers'),
    [
        (damaged, 'cannot be decoded', 1),
        (missing, 'does not exist', 1),
        (smaller, 'pixels', 1),
        (damaged, 'cannot be decoded', 2),
    ],
)
def test_a_bad_frame_stops_its_clip_alone(
    own_set: Path, tmp_path: Path, damage: Callable[[Path], None], told: str, side: str, workers: int
) -> None:
    build(tmp_path / 'undisturbed', RAW, material(own_set))
    path = own_set / side / '002' / '00000001.png'
    good = path.read_bytes()
    damage(path)
    root = tmp_path / 'store'
    with pytest.raises(DataError, match=told) as error:
        build(root, RAW, material(own_set), workers)
    assert str(path) in str(error.value.problems[0]).partition('\n')[0]
    assert 'clip 002' in str(error.value.problems[0]).partition('\n')[0]
    assert sorted(read_list(root, RAW)[0]) == ['001', '003']
    assert verify(root) == 2
    path.write_bytes(good)
    build(root, RAW, material(own_set), workers)
    assert contents(root) == contents(tmp_path / 'undisturbed')


def test_an_lq_side_of_another_scale(own_set: Path, tmp_path: Path) -> None:
    parts = from_options(TrainSetOptions.parse(block(own_set), 2), 'reds', None)
    with pytest.raises(DataError, match=r'is 12x16 pixels.*\n.*24x32, since its GT is 48x64 and scale is 2'):
        build(tmp_path / 'store', Header(2), parts)


def test_a_full_disk_is_told(own_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(tmp_path / 'undisturbed', RAW, material(own_set))
    root = tmp_path / 'store'
    count = 0

    def full(descriptor: int, offset: int, data: bytes) -> None:
        nonlocal count
        count += 1
        if count > 5:
            os.pwrite(descriptor, data[: len(data) // 2], offset)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        atomic_files.write_at(descriptor, offset, data)

    with monkeypatch.context() as patch:
        patch.setattr(writer, 'write_at', full)
        with pytest.raises(DataError, match='No space left on device') as error:
            build(root, RAW, material(own_set))
    assert str(root) in str(error.value.problems[0]).partition('\n')[0]
    assert 'it continues' in error.value.problems[0].remedy
    assert not list(root.rglob('*.part'))
    listed = verify(root)
    assert listed in (1, 2)
    build(root, RAW, material(own_set))
    assert contents(root) == contents(tmp_path / 'undisturbed')


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / 'disk'
    folder.mkdir()
    mount = shutil.which('mount')
    if (
        not mount
        or subprocess.run(
            [mount, '-t', 'tmpfs', '-o', 'size=60k', 'tmpfs', str(folder)], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip('mounting a small disk needs root')
    yield folder
    subprocess.run(['umount', str(folder)], check=True)


@pytest.mark.parametrize('header', [RAW, Header(SCALE, 'zstd', 4)], ids=['raw', 'zstd'])
def test_a_disk_that_is_really_full(tmp_path: Path, small_disk: Path, header: Header) -> None:
    noise = write_noise(tmp_path / 'noise', {'001': 3, '002': 3, '003': 3}, (48, 64), SCALE)
    root = small_disk / 'store'
    with pytest.raises(DataError, match='No space left on device'):
        build(root, header, material(noise))
    assert verify(root) in (1, 2)
    assert not list(root.rglob('*.part'))


def test_a_file_that_is_no_longer_whole_is_made_again(own_set: Path, tmp_path: Path) -> None:
    root = tmp_path / 'store'
    build(root, RAW, material(own_set))
    before = contents(root)
    os.truncate(clip_path(root, '002'), 100)
    clip_path(root, '003').unlink()
    build(root, RAW, material(own_set))
    assert contents(root) == before


def test_a_list_that_was_cut_short_is_continued(own_set: Path, tmp_path: Path) -> None:
    root = tmp_path / 'store'
    build(root, RAW, material(own_set))
    before = contents(root)
    text = (root / LIST).read_bytes()
    (root / LIST).write_bytes(text[:-20])
    build(root, RAW, material(own_set))
    assert contents(root) == before


def test_more_clips_can_be_added(own_set: Path, tmp_path: Path) -> None:
    root = tmp_path / 'store'
    build(root, RAW, material(own_set)[:1])
    build(root, RAW, material(own_set)[1:])
    assert [clip.name for clip in StoreFrames(root).clips] == ['002', '003', '001']
    assert verify(root) == 3


@pytest.mark.parametrize('other', [Header(2), Header(SCALE, 'zstd', 4), Header(SCALE, degradation='bd')], ids=str)
def test_another_store_is_not_touched(own_set: Path, tmp_path: Path, other: Header) -> None:
    root = tmp_path / 'store'
    build(root, RAW, material(own_set))
    before = contents(root)
    with pytest.raises(ConfigError, match='another store'):
        build(root, other, material(own_set))
    assert contents(root) == before


def test_a_folder_of_something_else_is_not_touched(own_set: Path) -> None:
    before = contents(own_set)
    with pytest.raises(ConfigError, match='not empty and not a store'):
        build(own_set, RAW, material(own_set))
    assert contents(own_set) == before


def test_one_build_at_a_time(own_set: Path, tmp_path: Path) -> None:
    import fcntl

    root = tmp_path / 'store'
    build(root, RAW, material(own_set))
    with open(root / HEADER) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match='is being built by another process'):
            build(root, RAW, material(own_set))


@pytest.mark.parametrize('number', [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks(
    own_set: Path, tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import fcntl

    def refuses(*arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, 'flock', refuses)
    assert len(build(tmp_path / 'store', RAW, material(own_set))) == 3
    assert f'{tmp_path / "store"} cannot be locked ({os.strerror(number)})' in caplog.text


def test_folders_with_made_lq(own_set: Path, tmp_path: Path) -> None:
    """GT of 46x63 pixels loses what is not a whole LQ pixel."""
    for path in (own_set / 'GT').rglob('*.png'):
        cv2.imwrite(str(path), cv2.imread(str(path))[:46, :63])
    root = tmp_path / 'store'
    build(root, Header(4, degradation='bd'), from_roots(str(own_set / 'GT'), None, Making(4, bd), images=False))
    assert {clip.geometry[:3] for clip in StoreFrames(root).clips} == {(3, 44, 60)}


SCRIPT = """
import sys
from pathlib import Path
from mg_basicsr.data.store.building.build import build
from mg_basicsr.data.store.format import Header
from mg_basicsr.data.store.building.inputs import Making, from_roots
if __name__ == '__main__':
    root, target, workers = sys.argv[1:]
    material = from_roots(f'{root}/GT', f'{root}/LQ', Making(4), images=False)
    build(Path(target), Header(4), material, int(workers))
"""


@pytest.mark.parametrize(
    ('kills', 'workers'), [(3, 1), *(pytest.param(20, workers, marks=pytest.mark.slow) for workers in (1, 2))]
)
def test_killed_at_random_moments(tmp_path: Path, kills: int, workers: int) -> None:
    source = write_noise(tmp_path / 'set', {f'{number:03d}': 4 for number in range(60)}, (96, 96), 4)
    script = tmp_path / 'script.py'
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), str(source)]
    started = time.monotonic()
    subprocess.run([*command, str(tmp_path / 'undisturbed'), str(workers)], check=True)
    usual = time.monotonic() - started
    rng = random.Random(kills)
    root = tmp_path / 'store'
    listed = [0]
    for _ in range(kills):
        process = subprocess.Popen([*command, str(root), str(workers)])
        time.sleep(usual * rng.uniform(0.3, 0.9))
        process.send_signal(signal.SIGKILL)
        process.wait()
        if (root / HEADER).exists():
            clips = StoreFrames(root).clips
            assert all(clip_path(root, clip.name).stat().st_size == clip.bytes for clip in clips)
            listed.append(len(list(clips)))
    assert listed == sorted(listed)
    time.sleep(0.5)  # its processes end with it
    subprocess.run([*command, str(root), str(workers)], check=True)
    assert contents(root) == contents(tmp_path / 'undisturbed')
    assert verify(root) == 60

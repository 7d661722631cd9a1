"""Stores of sets whose GT has fewer frames than LQ: the samples of the folders, and an error where more is needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mg_basicsr.data.crops.crop import Flips, Window
from mg_basicsr.data.datasets.store_clips import store_clips
from mg_basicsr.data.datasets.vimeo import Vimeo90K, Vimeo90KRecurrent
from mg_basicsr.data.listing.sequences import FrameSequence
from mg_basicsr.data.sampling.request import SampleRequest
from mg_basicsr.data.sources.frame_source import Needed
from mg_basicsr.data.store import reader
from mg_basicsr.data.store.building import writer
from mg_basicsr.data.store.building.build import build
from mg_basicsr.data.store.building.compare import check_origins, compare
from mg_basicsr.data.store.building.inputs import Findings, Making, from_options, from_roots
from mg_basicsr.data.store.building.material import ImageFiles
from mg_basicsr.data.store.building.verify import verify
from mg_basicsr.data.store.building.writer import Pair, write_clip
from mg_basicsr.data.store.difficulty import note_difficulty, read_difficulty
from mg_basicsr.data.store.format import LIST, Header, _crc32, read_header, read_list
from mg_basicsr.data.store.opening import open_store
from mg_basicsr.data.store.reader import StoreFrames
from mg_basicsr.errors import DataError
from mg_basicsr.host.data.datasets import our_dataset
from mg_basicsr.train_set import TrainSetOptions, train_set_of
from tests.helpers.frame_sets import SCALE, block, lmdb_block, to_lmdb, write_vimeo

NAMES = ['00001/0001', '00001/0002', '00002/0001']
HEADERS = [Header(SCALE), Header(SCALE, 'zstd', 3)]


@pytest.fixture
def im4(tmp_path: Path) -> Path:
    """A set with only the GT of im4, as BasicSR's script makes LMDBs of Vimeo-90K."""
    root = write_vimeo(tmp_path / 'set', NAMES)
    for path in (root / 'GT').rglob('im[!4].png'):
        path.unlink()
    return root


@pytest.fixture(params=[True, False], ids=['whole', 'tiled'])
def tiles(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, 'CHUNK_BYTES', 30_000)  # several chunks per side
    if not request.param:
        monkeypatch.setattr(writer, 'WHOLE_PIXELS', 0)
        monkeypatch.setattr(writer, 'RAW_TILES', (20, 10))
        monkeypatch.setattr(writer, 'COMPRESSED_TILES', (20, 10))


def options_of(root: Path, **changes: Any) -> TrainSetOptions:
    return TrainSetOptions.parse(block(root, num_frame=-1, random_reverse=True, **changes), SCALE)


def material(options: TrainSetOptions, findings: Findings | None = None) -> list[ImageFiles]:
    return from_options(options, 'vimeo', None, findings, middle=True)


def made(root: Path, options: TrainSetOptions, header: Header = HEADERS[0]) -> Path:
    build(root, header, material(options))
    return root


def assert_same(folders: Vimeo90K, stored: Vimeo90K, shapes: tuple[tuple[int, int], ...] = ((7, 48), (3, 16))) -> None:
    stored.check_files()
    for seed in range(24):
        request = SampleRequest(seed % len(folders), *shapes[seed % len(shapes)], seed)
        wanted, found = folders[request], stored[request]
        assert wanted['key'] == found['key']
        assert all(torch.equal(wanted[side], found[side]) for side in ('lq', 'gt')), request


@pytest.mark.parametrize('compiled', [True, False])
@pytest.mark.parametrize('header', HEADERS, ids=['raw', 'zstd'])
@pytest.mark.usefixtures('tiles')
def test_samples_are_those_of_the_folders(
    im4: Path, tmp_path: Path, header: Header, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not compiled:
        monkeypatch.setattr(reader, 'compiled', None)
    options = options_of(im4)
    store = made(tmp_path / 'store', options, header)
    assert_same(Vimeo90K(options), Vimeo90K(options, open_store(store, options)))
    assert verify(store) == 3
    assert [compare(store, header, part, NAMES) for part in material(options)] == [[], [], []]


def test_samples_are_those_of_lmdbs(im4: Path, tmp_path: Path) -> None:
    options = TrainSetOptions.parse(lmdb_block(im4, to_lmdb(im4, tmp_path), num_frame=5), SCALE)
    store = made(tmp_path / 'store', options)
    assert_same(Vimeo90K(options), Vimeo90K(options, open_store(store, options)), ((5, 32),))


def test_what_there_is_is_stored(im4: Path, tmp_path: Path) -> None:
    """A set whose first clip has all GT, the second two frames, the third im4 alone; sizes are not listed."""
    write_vimeo(im4, NAMES[:1])
    kept = (im4 / 'GT' / NAMES[1] / 'im4.png').read_bytes()
    (im4 / 'GT' / NAMES[1] / 'im6.png').write_bytes(kept)
    (im4 / 'meta.txt').write_text(''.join(f'{name} 7\n' for name in NAMES))
    findings, options = Findings(), options_of(im4)
    parts = material(options, findings)
    assert [part.gt_frames for part in parts] == [(), (3, 5), (3,)]
    assert findings.notes == [
        '2 of 3 clips have the GT of some frames alone, such as 00001/0002 (2 of 7): '
        'enough for sliding windows around the middle frame.'
    ]
    clips = build(tmp_path / 'store', HEADERS[0], parts)
    assert [clip.geometry.gt_frames for clip in clips] == [(), (3, 5), (3,)]
    store = StoreFrames(tmp_path / 'store')
    assert_same(Vimeo90K(options), Vimeo90K(options, store))
    gt = np.empty((3, 3, 48, 64), np.uint8)
    store.read_gt(clips[1].sequence, [5, 3, 5], Window(0, 0, 48, 64), Flips(), gt)
    assert np.array_equal(gt[0], gt[1])
    assert (tmp_path / 'store/meta_info.txt').read_text().splitlines()[2] == '00002/0001 7 (48,64,3)'
    note_difficulty(tmp_path / 'store')
    assert set(read_difficulty(tmp_path / 'store')) == set(NAMES)


def test_a_middle_frame_that_is_missing_is_reported(im4: Path, tmp_path: Path) -> None:
    (im4 / 'GT' / NAMES[1] / 'im4.png').unlink()
    with pytest.raises(DataError, match='clip 00001/0002'):
        build(tmp_path / 'store', HEADERS[0], material(options_of(im4)))
    assert {clip.name for clip in StoreFrames(tmp_path / 'store').clips} == {NAMES[0], NAMES[2]}


@pytest.mark.parametrize('header', HEADERS, ids=['raw', 'zstd'])
def test_clips_that_need_more_gt_are_refused(im4: Path, tmp_path: Path, header: Header) -> None:
    options = options_of(im4)
    store = made(tmp_path / 'store', options, header)
    told = r'clip 00001/0001: has the GT of 1 of its 7 frames; that of frame 0, .*\n.*the GT of all frames'
    for reads in (
        lambda: open_store(store, options).check(Vimeo90K(options).keys.sequences),
        lambda: Vimeo90KRecurrent(options, open_store(store, options)).check_files(),
        lambda: our_dataset(train_set('Vimeo90KRecurrentDataset', im4), str(store)),
        lambda: store_clips(store, frames=3, gt_size=16),
    ):
        with pytest.raises(DataError, match=told):
            reads()
    with pytest.raises(DataError, match=r'1 of its 7 frames; that of frame \d'):
        Vimeo90KRecurrent(options, open_store(store, options))[SampleRequest(0, 3, 16, 0)]
    assert our_dataset(train_set('Vimeo90KDataset', im4), str(store)) is not None
    clip = next(iter(StoreFrames(store).clips)).sequence
    assert StoreFrames(store).problems(clip, Needed(range(7), [3])) == []
    with pytest.raises(DataError, match=r'only the GT of the middle frame.*\n.*for every frame\n.*Vimeo90KDataset'):
        from_options(options, 'vimeo', None)


def train_set(type_: str, root: Path) -> Any:
    return train_set_of({'scale': SCALE, 'datasets': {'train': block(root, type=type_, num_frame=7)}})


def test_lq_is_not_made_of_gt_that_is_not_there(im4: Path) -> None:
    with pytest.raises(DataError, match=r'only the GT of the middle frame.*\n.*LQ is made from it\n.*leave out'):
        from_options(options_of(im4), 'vimeo', lambda frame: frame[::4, ::4], middle=True)


@pytest.mark.parametrize('backend', ['disk', 'lmdb'])
def test_folders_that_have_the_middle_frame_alone(im4: Path, tmp_path: Path, backend: str) -> None:
    options, findings = options_of(im4), Findings()
    root, end = (to_lmdb(im4, tmp_path), '.lmdb') if backend == 'lmdb' else (im4, '')
    parts = from_roots(str(root / f'GT{end}'), str(root / f'LQ{end}'), Making(SCALE), False, findings)
    assert not findings.problems and len(findings.notes) == 1
    build(tmp_path / 'store', HEADERS[0], parts)
    assert_same(Vimeo90K(options), Vimeo90K(options, open_store(tmp_path / 'store', options)))


@pytest.mark.parametrize('change', ['other', 'more', 'even'])
def test_other_gaps_in_gt_are_reported(im4: Path, change: str) -> None:
    """One clip has another frame than the middle one, or two, or an even number of LQ frames."""
    place = im4 / 'GT' / NAMES[1]
    if change == 'even':
        (im4 / 'LQ' / NAMES[1] / 'im7.png').unlink()
    else:
        (place / 'im5.png').write_bytes((place / 'im4.png').read_bytes())
    if change == 'other':
        (place / 'im4.png').unlink()
    with pytest.raises(DataError, match='clip 00001/0001 has 1 GT frames and 7 LQ frames'):
        from_roots(str(im4 / 'GT'), str(im4 / 'LQ'), Making(SCALE), False)


def test_more_gt_later_makes_a_clip_anew_and_less_keeps_it(im4: Path, tmp_path: Path) -> None:
    options, store = options_of(im4), tmp_path / 'store'
    made(store, options)
    few = material(options)
    write_vimeo(im4, NAMES)
    with pytest.raises(DataError, match='clip 00001/0001 was made from other frames'):
        check_origins(store, HEADERS[0], material(options))
    assert [clip.geometry.gt_frames for clip in build(store, HEADERS[0], material(options))] == [(), (), ()]
    assert [clip.geometry.gt_frames for clip in build(store, HEADERS[0], few)] == [(), (), ()]


def test_the_file_is_as_large_as_its_frames(im4: Path, tmp_path: Path) -> None:
    store = made(tmp_path / 'store', options_of(im4))
    assert (store / 'clips/00001/0001.clip').stat().st_size == 3 * (48 * 64 + 7 * 12 * 16)


@pytest.mark.parametrize(
    'value', [[], None, 3, '3', [3.0], [True], [-1], [7], [3, 3], [4, 3], [[3]], list(range(7)), {}, [1, 3]]
)
@pytest.mark.parametrize('header', HEADERS, ids=['raw', 'zstd'])
def test_a_line_that_says_otherwise_is_damaged(im4: Path, tmp_path: Path, header: Header, value: Any) -> None:
    store = made(tmp_path / 'store', options_of(im4), header)
    lines = (store / LIST).read_text().splitlines()
    values = {**json.loads(lines[1]), 'gt_frames': value}
    (store / LIST).write_text('\n'.join([lines[0], json.dumps(values), lines[2], '']))
    assert set(read_list(store, read_header(store))[0]) == {NAMES[0], NAMES[2]}
    values['crc32'] = _crc32(header, values)
    (store / LIST).write_text('\n'.join([lines[0], json.dumps(values), lines[2], '']))
    clips, problems = read_list(store, read_header(store))
    if header.codec == 'raw' or value != [1, 3]:  # of a raw file the size tells
        assert set(clips) == {NAMES[0], NAMES[2]} and len(problems) == 1
    else:
        with pytest.raises(DataError, match='damaged'):
            out = np.empty((1, 3, 48, 48), np.uint8)
            StoreFrames(store).read_gt(clips[NAMES[1]].sequence, [3], Window(0, 0, 48), Flips(), out)


def test_a_line_without_the_key_is_damaged(im4: Path, tmp_path: Path) -> None:
    store = made(tmp_path / 'store', options_of(im4))
    values = json.loads((store / LIST).read_text().splitlines()[0])
    del values['gt_frames']
    (store / LIST).write_text(json.dumps(values) + '\n')
    assert read_list(store, read_header(store))[0] == {}


@pytest.mark.parametrize('with_gt', [(), (0,), (0, 1, 2)])
def test_pairs_must_be_as_planned(tmp_path: Path, with_gt: tuple[int, ...]) -> None:
    gt, lq = np.zeros((8, 8, 3), np.uint8), np.zeros((2, 2, 3), np.uint8)
    frames = [Pair(gt if frame in with_gt else None, lq) for frame in range(3)]
    with pytest.raises(ValueError, match=r'frame \d has (no )?GT'):
        write_clip(tmp_path, HEADERS[0], FrameSequence('a', 3, 8, 8), frames, (1,))

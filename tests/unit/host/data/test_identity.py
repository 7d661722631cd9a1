"""A resume on other data: told by what is drawn, not by where it is stored or how it is augmented."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mg_basicsr import build_store
from mg_basicsr.data.datasets.reds import REDSRecurrent
from mg_basicsr.data.store.opening import open_store
from mg_basicsr.host.data.identity import data_changes, data_record
from mg_basicsr.schedule.shape import BatchShape
from mg_basicsr.train_set import TrainSetOptions
from tests.helpers.foreign_sets import replace_frames
from tests.helpers.frame_sets import SCALE, block, to_lmdb, write_reds

PLAN: Any = SimpleNamespace(shapes=(BatchShape(2, 3, 16), BatchShape(4, 3, 8)))


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    return write_reds(tmp_path / 'set', {'001': 6, '002': 4, '003': 4})


def record(root: Path, store: Path | None = None, **changes: Any) -> dict[str, Any]:
    options = TrainSetOptions.parse(block(root, num_frame=3, **changes), SCALE)
    return data_record(REDSRecurrent(options, open_store(store, options) if store else None), PLAN)


def moved(root: Path) -> dict[str, Any]:
    return record(Path(shutil.move(root, root.with_name('elsewhere'))))


def in_a_store(root: Path) -> dict[str, Any]:
    build_store(root / 'store', root / 'GT', root / 'LQ')
    return record(root, root / 'store')


def in_lmdbs(root: Path) -> dict[str, Any]:
    to_lmdb(root, root / 'd')
    roots = {'dataroot_gt': str(root / 'd/GT.lmdb'), 'dataroot_lq': str(root / 'd/LQ.lmdb')}
    return record(root, io_backend={'type': 'lmdb'}, **roots)


def other_augmentation(root: Path) -> dict[str, Any]:
    return record(root, use_hflip=False, use_rot=False, random_reverse=True, interval_list=[1, 2])


def another_lq(root: Path) -> dict[str, Any]:
    shutil.copytree(root / 'LQ', root / 'LQ_blurred')
    replace_frames(root / 'LQ_blurred')
    return record(root, dataroot_lq=str(root / 'LQ_blurred'))


def gt_as_lq_of_a_store(root: Path) -> dict[str, Any]:
    shutil.copytree(root, root.with_name('copy'))
    replace_frames(root.with_name('copy') / 'GT')
    return in_a_store(root.with_name('copy'))


def a_clip_less(root: Path) -> dict[str, Any]:
    meta = root / 'meta.txt'
    meta.write_text(''.join(meta.read_text().splitlines(keepends=True)[:2]))
    return record(root)


def another_order(root: Path) -> dict[str, Any]:
    meta = root / 'meta.txt'
    meta.write_text(''.join(reversed(meta.read_text().splitlines(keepends=True))))
    return record(root)


@pytest.mark.parametrize('change', [moved, in_a_store, in_lmdbs, other_augmentation])
def test_the_same_data(clips: Path, change: Callable[[Path], dict[str, Any]]) -> None:
    before = record(clips)
    assert before['sample'] and before['clips'] and before['keys'] == 14
    assert data_changes(before, change(clips)) == []


@pytest.mark.parametrize(
    ('change', 'told'),
    [
        (another_lq, 'has other pixels in its first clip'),
        (gt_as_lq_of_a_store, 'has other pixels in its first clip'),
        (a_clip_less, 'has 10 keys, and had 14'),
        (another_order, 'lists other clips'),
    ],
)
def test_other_data(clips: Path, change: Callable[[Path], dict[str, Any]], told: str) -> None:
    before = record(clips)
    (line,) = data_changes(before, change(clips))
    assert line.startswith(told)


def test_what_is_not_known_is_not_told(clips: Path) -> None:
    """Records of sets of the adapter, whose samples are the repository's own, and a clip that cannot be read."""
    whole = record(clips)
    assert data_record([0] * 14, PLAN) == {'keys': 14, 'clips': None, 'sample': None}
    assert data_changes(whole, data_record([0] * 14, PLAN)) == []
    assert data_changes({}, whole) == []
    shutil.rmtree(clips / 'GT/001')
    assert record(clips)['sample'] is None

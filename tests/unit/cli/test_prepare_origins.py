"""Stores whose frames have changed since they were made: `prepare` and `prepare --verify` say so."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from mg_basicsr.cli.main import main
from mg_basicsr.data.store.building.build import build
from mg_basicsr.data.store.building.material import ArrayClip
from mg_basicsr.data.store.format import Header
from tests.helpers.foreign_sets import replace_frames, truncated_film
from tests.helpers.frame_sets import SCALE, to_lmdb, write_reds


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A set and a store of it."""
    root = write_reds(tmp_path / 'set', {'000': 4, '001': 4})
    assert prepare(*roots(root)) == 0
    return root


def prepare(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(['prepare', *map(str, arguments), '--workers', '1'])
    return int(ended.value.code or 0)


def roots(root: Path, *more: object, lq: str = 'LQ') -> tuple[object, ...]:
    return ('--gt', root / 'GT', '--lq', root / lq, '-o', root / 'store', *more)


def all_of_lq(root: Path) -> None:
    replace_frames(root / 'LQ')


def all_of_gt(root: Path) -> None:
    replace_frames(root / 'GT')


def one_in_the_middle(root: Path) -> None:
    cv2.imwrite(str(root / 'LQ/001/00000002.png'), np.zeros((12, 16, 3), np.uint8))


def one_not_sampled(root: Path) -> None:
    cv2.imwrite(str(root / 'LQ/001/00000001.png'), np.zeros((12, 16, 3), np.uint8))


def gone(root: Path) -> None:
    (root / 'LQ/001/00000001.png').unlink()


@pytest.mark.parametrize('change', [all_of_lq, all_of_gt, one_in_the_middle, one_not_sampled, gone])
def test_changed_frames(made: Path, change: Callable[[Path], None], capsys: pytest.CaptureFixture[str]) -> None:
    change(made)
    capsys.readouterr()
    assert prepare(*roots(made)) == 2
    told = capsys.readouterr()
    assert 'done already' not in told.out
    assert 'clip 001' in told.err


def test_another_lq_root(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(made / 'LQ', made / 'LQ2')
    assert prepare(*roots(made, lq='LQ2')) == 0  # a copy
    replace_frames(made / 'LQ2')
    assert prepare(*roots(made, lq='LQ2')) == 2
    assert str(made / 'LQ2') in capsys.readouterr().err


def test_a_clip_that_is_deleted_is_made_from_the_new_frames(made: Path) -> None:
    replace_frames(made / 'LQ/001')
    assert prepare(*roots(made)) == 2
    (made / 'store/clips/001.clip').unlink()
    assert prepare(*roots(made, '--verify')) == 0


def test_verify_compares_pixels(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever sizes, times and the first bytes say: here the record is missing, as in an earlier version's store."""
    replace_frames(made / 'LQ/001')
    (made / 'store/origins.jsonl').unlink()
    assert prepare(*roots(made)) == 0
    assert 'is not recorded: --verify compares their pixels' in capsys.readouterr().out
    assert prepare(*roots(made, '--verify')) == 2
    assert 'clip 001: LQ frame 0 has other pixels' in capsys.readouterr().err


@pytest.mark.parametrize('damage', [b'', b'{', b'[]\n', b'{"name": 3}\n', b'{"name": "000", "gt": 3}\n', b'\xff\n'])
def test_a_damaged_record_is_none(made: Path, damage: bytes) -> None:
    (made / 'store/origins.jsonl').write_bytes(damage)
    assert prepare(*roots(made)) == 0


@pytest.mark.parametrize('share', [1, 2])
def test_another_video_of_the_same_name(tmp_path: Path, share: int, capsys: pytest.CaptureFixture[str]) -> None:
    film = truncated_film(tmp_path / 'film.avi', 10, 1)
    arguments = ('--gt', film, '--degradation', 'bd', '--clip-length', '5', '-o', tmp_path / 'store')
    assert prepare(*arguments) == 0
    truncated_film(film, 10 * share, 1)
    assert prepare(*arguments) == (0 if share == 1 else 2)


def test_lmdbs(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    to_lmdb(made, made / 'one')
    arguments = ('--gt', made / 'one/GT.lmdb', '--lq', made / 'one/LQ.lmdb', '-o', made / 'other')
    assert prepare(*arguments, '--verify') == prepare(*arguments) == 0
    replace_frames(made / 'LQ')
    shutil.rmtree(made / 'one/LQ.lmdb')
    to_lmdb(made, made / 'one', ['LQ'])
    assert prepare(*arguments) == 2
    assert 'clip 000' in capsys.readouterr().err


def test_times_alone_make_no_difference(made: Path) -> None:
    for path in made.rglob('*.png'):
        os.utime(path, (1, 1))
    assert prepare(*roots(made)) == 0


def test_arrays_have_no_origin(tmp_path: Path) -> None:
    gt = np.zeros((2, 48, 64, 3), np.uint8)
    build(tmp_path, Header(SCALE), [ArrayClip('000', gt, gt[:, ::4, ::4])])
    assert not (tmp_path / 'origins.jsonl').exists()

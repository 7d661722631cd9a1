"""LMDBs that were cut short are found in every data set, before the host reads beyond their end."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lmdb
import pytest

from mg_basicsr.host.lmdbs import lmdb_problems
from tests.helpers.frame_sets import to_lmdb, write_reds


@pytest.fixture(scope='module')
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp('whole')
    return to_lmdb(write_reds(root, {'001': 6}), root / 'lmdb')


@pytest.fixture
def cut(whole: Path, tmp_path: Path) -> Callable[[float], str]:
    def make(share: float) -> str:
        folder = tmp_path / 'LQ.lmdb'
        folder.mkdir()
        data = (whole / 'LQ.lmdb/data.mdb').read_bytes()
        (folder / 'data.mdb').write_bytes(data[: int(len(data) * share)])
        return str(folder)

    return make


@pytest.mark.parametrize('share', [0, 0.01, 0.1, 0.5, 0.9, 0.999])
def test_lengths(cut: Callable[[float], str], share: float) -> None:
    folder = cut(share)
    (problem,) = lmdb_problems({'datasets': {'val': {'dataroot_lq': folder}}})
    assert problem.option == 'datasets.val.dataroot_lq'
    assert 'data.mdb has' in str(problem) and folder in str(problem) and len(str(problem).splitlines()) == 3


SECTIONS: list[tuple[Callable[[str], dict[str, Any]], str]] = [
    (lambda path: {'val': {'type': 'PairedImageDataset', 'dataroot_gt': path}}, 'datasets.val.dataroot_gt'),
    (lambda path: {'val_2': {'type': 'Own', 'dataroot_lq': path}}, 'datasets.val_2.dataroot_lq'),
    (lambda path: {'test': {'io_backend': {'type': 'lmdb', 'db_paths': ['x', path]}}}, 'datasets.test.io_backend'),
    (lambda path: {'train': {'type': 'Own', 'dataroot_events': path}}, 'datasets.train.dataroot_events'),
    (lambda path: {'train': {'type': 'REDSDataset', 'dataroot_flow': path}}, 'datasets.train.dataroot_flow'),
]


@pytest.mark.parametrize(('section', 'option'), SECTIONS, ids=[option for _, option in SECTIONS])
def test_every_data_set_and_key(cut: Callable[[float], str], section: Any, option: str) -> None:
    (problem,) = lmdb_problems({'datasets': section(cut(0.5))})
    assert problem.option.startswith(option)


def test_no_lmdb_at_all(cut: Callable[[float], str]) -> None:
    folder = cut(1)
    Path(folder, 'data.mdb').write_bytes(bytes(1 << 16))
    assert 'MDB_INVALID' in str(lmdb_problems({'datasets': {'val': {'dataroot_lq': folder}}}))


def test_whole_ones_are_closed_again(whole: Path) -> None:
    path = str(whole / 'LQ.lmdb')
    assert lmdb_problems({'datasets': {'val': {'dataroot_lq': path, 'name': 'x'}, 'other': None}}) == []
    with lmdb.open(path, readonly=True, lock=False) as opened:  # as the host does, which fails if it is open already
        assert opened.stat()['entries'] == 6


def test_those_that_are_not_read(cut: Callable[[float], str]) -> None:
    train = {'dataroot_lq': cut(0.5)}
    assert lmdb_problems({'datasets': {'train': train}, 'multigrid': {'store': 'store'}}) == []
    assert lmdb_problems({'datasets': {'val': {'dataroot_lq': os.devnull, 'n': 3}}}) == []
    assert lmdb_problems({}) == lmdb_problems({'datasets': 3}) == []

"""Data sets that many tests only read, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.frame_sets import to_lmdb, write_reds, write_vimeo


@pytest.fixture(scope='session')
def reds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips 000 (held out by REDS4), 001 of 37 frames and 002 of 9."""
    return write_reds(tmp_path_factory.mktemp('reds'), {'000': 6, '001': 37, '002': 9})


@pytest.fixture(scope='session')
def reds_lmdb(reds: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in LMDBs."""
    return to_lmdb(reds, tmp_path_factory.mktemp('reds_lmdb'))


@pytest.fixture(scope='session')
def vimeo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three septuplets."""
    return write_vimeo(tmp_path_factory.mktemp('vimeo'), ['00001/0001', '00001/0002', '00002/0001'])


@pytest.fixture(scope='session')
def vimeo_lmdb(vimeo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in LMDBs."""
    return to_lmdb(vimeo, tmp_path_factory.mktemp('vimeo_lmdb'))

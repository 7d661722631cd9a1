"""Paths that lead nowhere: the message names why, and what to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from mg_basicsr.data.sources.byte_files import Folder, LmdbFolder
from mg_basicsr.data.store.format import read_header
from mg_basicsr.errors import MultigridError
from mg_basicsr.parsing.places import hint


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / 'REDS/GT').mkdir(parents=True)
    (tmp_path / 'REDS/LQ').mkdir()
    for name in ('train.zip', 'x.tar.gz', 'frame.png'):
        (tmp_path / 'REDS' / name).write_bytes(b'x')
    (tmp_path / 'REDS/gone').symlink_to('/not/mounted')
    monkeypatch.setenv('DATA', str(tmp_path))
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.delenv('NOWHERE', raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ('path', 'there', 'remedy'),
    [
        ('"{}/REDS/GT"', 'the quotes are a part of it', 'write {}/REDS/GT'),
        ("'{}/REDS/GT'", 'the quotes are a part of it', 'write {}/REDS/GT'),
        ('\u201c{}/REDS/GT\u201d', 'the quotes are a part of it', 'write {}/REDS/GT'),
        (' {}/REDS/GT', 'it has a space at an end', 'write {}/REDS/GT'),
        ('{}/REDS/GT ', 'it has a space at an end', 'write {}/REDS/GT'),
        ('{}/REDS/GT\t', 'it has a space at an end', 'write {}/REDS/GT'),
        ('$DATA/REDS/GT', 'variables of the environment are not expanded', 'write {}/REDS/GT'),
        ('${{DATA}}/REDS/GT', 'variables of the environment are not expanded', 'write {}/REDS/GT'),
        ('$NOWHERE/GT', 'variables of the environment are not expanded', 'write the whole path'),
        ('%DATA%/GT', 'variables of the environment are not expanded', 'write the whole path'),
        ('file://{}/REDS/GT', 'it is an address', 'write {}/REDS/GT'),
        ('s3://bucket/GT', 'it is an address', 'download it'),
        ('D:\\data\\GT', 'it is a path of Windows', '/mnt/d/'),
        ('D:/data/GT', 'it is a path of Windows', '/mnt/d/'),
        ('REDS\\GT', '\\ separates no folders', 'write REDS/GT'),
        ('~someone_else/GT', 'there is no such user', 'write the whole path'),
        ('{}/reds/GT', 'there is {}/REDS', 'write {}/REDS/GT'),
        ('{}/REDS/gt', 'there is {}/REDS/GT', 'write {}/REDS/GT'),
        ('reds/gt', '', 'has REDS'),  # two names are wrong
        ('{}/REDS/GTT', 'there is {}/REDS/GT', 'write {}/REDS/GT'),
        ('{}/REDS/other/GT', '', 'usual; {}/REDS has GT, LQ, frame.png and 3 more'),
        ('{}/REDS/train.zip', 'it is an archive', 'unpack it'),
        ('{}/REDS/x.tar.gz', 'it is an archive', 'unpack it'),
        ('{}/REDS/frame.png', 'it is a file', ''),
        ('{}/REDS/gone', 'it is a link to /not/mounted, which does not exist', 'restore'),
        ('{}/REDS/GT', 'it is empty', ''),
        ('', '', ''),
        ('\0', '', ''),
    ],
)
def test_hints(data: Path, path: str, there: str, remedy: str) -> None:
    found = hint(path.format(data))
    assert there.format(data) in found.there
    assert remedy.format(data) in found.advice('usual')


def test_a_home_that_is_not_expanded(data: Path) -> None:
    found = hint('~/REDS/nothing', expands=False)
    assert (found.there, found.remedy) == ('~ is not expanded here', f'write {data}/REDS/nothing')
    assert '~' not in hint('~/REDS/nothing').there


def an_lmdb(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / 'data.mdb').write_bytes(b'x')
    return folder


def test_an_lmdb_one_level_too_high_and_its_file(data: Path) -> None:
    root = an_lmdb(data / 'databases/GT.lmdb')
    for path in (root.parent, root / 'data.mdb'):
        with pytest.raises(MultigridError) as caught:
            LmdbFolder(str(path), '--gt')
        assert caught.value.problems[0].remedy == f'write {root}'


@pytest.mark.parametrize(
    ('path', 'there'), [('stores', 'it holds stores: one'), ('stores/one/clips', 'it is a part of one')]
)
def test_a_store_one_level_too_high_or_too_deep(data: Path, path: str, there: str) -> None:
    store = data / 'stores/one'
    (store / 'clips').mkdir(parents=True)
    (store / 'store.json').write_text('{}')
    with pytest.raises(MultigridError) as caught:
        read_header(data / path)
    assert there in caught.value.problems[0].what and caught.value.problems[0].remedy == f'write {store}'


def test_a_store_that_is_an_lmdb(data: Path) -> None:
    with pytest.raises(MultigridError, match='it is an LMDB'):
        read_header(an_lmdb(data / 'GT.lmdb'))


def test_folders_say_it(data: Path) -> None:
    with pytest.raises(MultigridError) as caught:
        Folder(f'"{data}/REDS/GT"', 'datasets.train.dataroot_gt')
    (problem,) = caught.value.problems
    assert (
        problem.what.endswith('is not a folder: the quotes are a part of it')
        and problem.remedy == f'write {data}/REDS/GT'
    )

"""BasicSR's lists: what its own sets read is read the same, what nobody can read is refused with file and line."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mg_basicsr.data.listing import meta_files
from mg_basicsr.data.listing.meta_files import host_reads, read_lmdb_keys, read_meta_file
from mg_basicsr.data.listing.sequences import FrameSequence
from mg_basicsr.data.store.format import Clip, write_meta_file
from mg_basicsr.data.store.layout import Geometry
from mg_basicsr.errors import ConfigError, DataError

REDS = ('000', 100, 720, 1280)


def written(folder: Path, text: str) -> str:
    path = folder / 'meta.txt'
    path.write_text(text, encoding='utf-8', newline='')
    return str(path)


@pytest.mark.parametrize(
    'line',
    [
        '000 100 (720,1280,3)',
        '000\t100\t(720,1280,3)',
        '000  100   (720,1280,3)',
        '000 100 (720,1280,3) ',
        '\t000 100 (720,1280,3)\t ',
        '000 100 (720, 1280, 3)',
        '000 100 ( 720 ,1280 )',
        '000 0100 (0720,1280,3)',
        '\ufeff000 100 (720,1280,3)',
    ],
)
@pytest.mark.parametrize('end', ['', '\n', '\r\n', '\r', '\n\n \t\n'])
def test_one_line_in_many_forms(tmp_path: Path, line: str, end: str) -> None:
    assert read_meta_file(written(tmp_path, line + end)) == [REDS]


def test_lines_of_one_file(tmp_path: Path) -> None:
    text = (
        '000 100 (720,1280,3)\n\n00001/0001 7 (256, 448, 3)\r\nx 1 (8,8)\nmy clip 5 (8,8,3)\n\u00fc\u4e2d 5 (8,8,3)\n'
    )
    assert read_meta_file(written(tmp_path, text)) == [
        REDS, ('00001/0001', 7, 256, 448), ('x', 1, 8, 8), ('my clip', 5, 8, 8), ('\u00fc\u4e2d', 5, 8, 8)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ('layout', 'line', 'expected'),
    [
        ('reds', '000 100 x\n', ('000', 100, 0, 0)),
        ('reds', '000 100 (720)\n', ('000', 100, 0, 0)),
        ('reds', '000 100 \n', ('000', 100, 0, 0)),
        ('vimeo', '00001/0001 \n', ('00001/0001', 7, 0, 0)),
        ('vimeo', '00001/0001 7\n', ('00001/0001', 7, 0, 0)),
        ('vimeo', '00001/0001 5 frames of 256 x 448\n', ('00001/0001', 5, 0, 0)),
        ('vimeo', '00001/0001 # the first\n', ('00001/0001', 7, 0, 0)),
    ],
)
def test_lines_that_basicsr_takes_without_a_shape(
    tmp_path: Path, layout: str, line: str, expected: tuple[str, int, int, int]
) -> None:
    path = written(tmp_path, line)
    assert read_meta_file(path, layout) == [expected]
    assert host_reads(path, layout, read_meta_file(path, layout))
    with pytest.raises(DataError, match='line 1'):
        read_meta_file(path)
    with pytest.raises(DataError, match='line 1'):  # the last line of a file that was cut short
        read_meta_file(written(tmp_path, line.rstrip('\n')), layout)


@pytest.mark.parametrize(
    'line',
    ['000', '000 100', '000 (720,1280,3)', '000 ten (720,1280,3)', '000 0 (720,1280,3)', '000 -1 (720,1280,3)',
     '000 100 (720,0,3)', '000 100 720 1280', '000 100 (720,1280,3) x', '# 000 100', '100 (720,1280,3)',
     '000 1000000 (720,1280,3)', f'000 {"9" * 5000} (720,1280,3)', '0\x000 100 (720,1280,3)', f'{"0" * 5000} 1 (8,8)'],
)  # fmt: skip
@pytest.mark.parametrize('layout', ['', 'reds'])
def test_a_damaged_line_is_named(tmp_path: Path, line: str, layout: str) -> None:
    with pytest.raises(DataError) as error:
        read_meta_file(written(tmp_path, f'000 100 (720,1280,3)\n{line}\n'), layout)
    (problem,) = error.value.problems
    assert str(problem).startswith(f'{tmp_path}/meta.txt, line 2: {line[:80]!r}')


NAMES = st.text(st.characters(exclude_categories=['Cs', 'Cc']), min_size=1, max_size=20).filter(
    lambda name: name == name.strip(' ') and '\\' not in name
)


@given(st.lists(st.tuples(NAMES, st.integers(1, 999_999), st.integers(1, 9999)), min_size=1, max_size=5))
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, clips: list[tuple[str, int, int]]
) -> None:
    root = tmp_path_factory.mktemp('store')
    write_meta_file(root, [Clip(name, Geometry(n, edge, edge, 8, 8, 1), 1, '') for name, n, edge in clips])
    expected = [FrameSequence(name, n, edge, edge) for name, n, edge in clips]
    assert read_meta_file(str(root / 'meta_info.txt')) == expected


def test_keys_of_an_lmdb(tmp_path: Path) -> None:
    """As BasicSR writes them, `{key}.png ({h},{w},{c}) {level}`; spaces and dots in a key are parts of it."""
    keys = ['baboon', '000/00000000', 'my clip/00000000', 'v1.0/im4', '\u00fc']
    path = written(tmp_path, ''.join(f'{key}.png (120,125,3) 1\n' for key in keys) + 'plain.png\r\nno_size.png x\n')
    found = read_lmdb_keys(path, '--gt')
    assert list(found) == [*keys, 'plain', 'no_size']
    assert found['v1.0/im4'] == (120, 125) and found['plain'] == (0, 0)


def test_many_damaged_lines_are_counted(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        read_meta_file(written(tmp_path, 'x\n' * 12))
    assert [str(problem).partition('\n')[0] for problem in error.value.problems][4:] == [
        f"{tmp_path}/meta.txt, line 5: 'x' is not a sequence", 'and 7 more damaged lines'
    ]  # fmt: skip


def test_no_meta_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r'^datasets.train.meta_info_file: missing'):
        read_meta_file(None)
    for name in ('no.txt', 'a\x00b', '\udcff'):
        with pytest.raises(ConfigError, match=r'^datasets.train.meta_info_file: .*does not exist'):
            read_meta_file(str(tmp_path / name))


def pipe(path: Path) -> None:
    os.mkfifo(path)


def circle(path: Path) -> None:
    path.symlink_to(path)


def endless(path: Path) -> None:
    path.symlink_to('/dev/zero')


def binary(path: Path) -> None:
    path.write_bytes(b'\xff\xfe\x00')


@pytest.mark.parametrize('make', [pipe, circle, endless, binary, Path.mkdir])
def test_what_cannot_be_read_as_text(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / 'meta.txt')
    with pytest.raises(DataError, match=r'meta.txt: cannot be read'):
        read_meta_file(str(tmp_path / 'meta.txt'))


def test_meta_files_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r'meta.txt: lists no sequence'):
        read_meta_file(written(tmp_path, '\n'))
    monkeypatch.setattr(meta_files, 'MOST_BYTES', 10)
    with pytest.raises(DataError, match='too large'):
        read_meta_file(written(tmp_path, '000 100 (720,1280,3)'))


@pytest.mark.parametrize(
    ('layout', 'text', 'same'),
    [
        ('reds', 'a 100 (720,1280,3)\nb 0100 (720,1280,3)\r\n', True),
        ('reds', 'a 100 (720,1280,3)\n\n', False),
        ('reds', 'a 100 (720, 1280, 3)\n', False),
        ('reds', 'a b 100 (720,1280,3)\n', False),
        ('reds', '\ufeffa 100 (720,1280,3)\n', False),
        ('vimeo', 'a/b 7 (720, 1280, 3)  \n', True),
        ('vimeo', 'a/b\t7 (720,1280,3)\n', False),
        ('vimeo', '\ufeffa/b 7 (720,1280,3)\n', False),
    ],
)
def test_what_basicsr_reads_alike(tmp_path: Path, layout: str, text: str, same: bool) -> None:
    path = written(tmp_path, text)
    assert host_reads(path, layout, read_meta_file(path, layout)) == same

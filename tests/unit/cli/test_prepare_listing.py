"""`mg-basicsr prepare` against what is there: nothing is left out without a line, and losses end with code 2."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
import yaml

from mg_basicsr.data.listing.meta_files import read_meta_file
from mg_basicsr.data.store.reader import StoreFrames
from tests.helpers.foreign_sets import rename_frames, truncated_film
from tests.helpers.frame_sets import SCALE, SIZE, block, to_lmdb, write_reds
from tests.helpers.prepare_command import names, prepare

OTHERS = ['000', '002']


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    return write_reds(tmp_path / 'set', {'000': 4, '001': 6, '002': 4})


def roots(root: Path, *more: object) -> tuple[object, ...]:
    return ('--gt', root / 'GT', '--lq', root / 'LQ', '-o', root / 'store', *more)


def lost_frame(root: Path) -> None:
    for side in ('GT', 'LQ'):
        (root / side / '001/00000003.png').unlink()


def lost_gt_frame_at_the_end(root: Path) -> None:
    (root / 'GT/001/00000005.png').unlink()


def lost_gt_clip(root: Path) -> None:
    shutil.rmtree(root / 'GT/001')


def doubled_number(root: Path) -> None:
    for side in ('GT', 'LQ'):
        shutil.copy(root / side / '001/00000003.png', root / side / '001/0003.png')


def damaged_first_frame(root: Path) -> None:
    (root / 'GT/001/00000000.png').write_bytes(b'')


def lost_first_frame_of_lq(root: Path) -> None:
    (root / 'LQ/001/00000000.png').unlink()


def odd_size(root: Path) -> None:
    for path in (root / 'GT/001').iterdir():
        cv2.imwrite(str(path), cv2.imread(str(path))[:-1])


LOSSES = [
    lost_frame, lost_gt_frame_at_the_end, lost_gt_clip, doubled_number, damaged_first_frame, lost_first_frame_of_lq,
    odd_size,
]  # fmt: skip


@pytest.mark.parametrize('lose', LOSSES)
def test_a_loss_in_one_clip_leaves_the_others_and_ends_with_code_2(
    clips: Path, lose: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    lose(clips)
    assert prepare(*roots(clips)) == 2
    assert '001' in capsys.readouterr().err
    assert names(clips / 'store') == OTHERS


@pytest.mark.parametrize('lose', [lost_frame, lost_gt_frame_at_the_end, lost_gt_clip, doubled_number, odd_size])
def test_losses_can_be_allowed(clips: Path, lose: Callable[[Path], None], capsys: pytest.CaptureFixture[str]) -> None:
    lose(clips)
    assert prepare(*roots(clips, '--allow-missing')) == 0
    left_out = lose in (lost_gt_clip, odd_size)
    assert names(clips / 'store') == (OTHERS if left_out else ['000', '001', '002'])


def test_a_folder_that_cannot_be_read(
    clips: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scandir = os.scandir

    def refusing(path: str) -> object:  # permissions do not stop root
        if str(path).endswith('001'):
            raise PermissionError(13, 'Permission denied', path)
        return scandir(path)

    monkeypatch.setattr(os, 'scandir', refusing)
    assert prepare(*roots(clips)) == 2
    assert f'{clips / "GT/001"} cannot be listed: Permission denied' in capsys.readouterr().err
    assert names(clips / 'store') == OTHERS


@pytest.mark.parametrize(
    'folder', ['.ipynb_checkpoints', '__MACOSX/001', '.Trash-1000/files/001', '@eaDir/001', 'lost+found', '001/.thumbs']
)
def test_folders_of_the_system_are_no_clips(clips: Path, folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    for side in ('GT', 'LQ'):
        (clips / side / folder).mkdir(parents=True)
        shutil.copy(clips / side / '000/00000000.png', clips / side / folder)
    assert prepare(*roots(clips)) == 0
    assert 'Skipped' in capsys.readouterr().out
    assert names(clips / 'store') == ['000', '001', '002']


@pytest.mark.parametrize('file', ['Thumbs.db', '.DS_Store', '._00000000.png', 'desktop.ini', 'notes.txt'])
def test_files_beside_the_frames_are_told(clips: Path, file: str, capsys: pytest.CaptureFixture[str]) -> None:
    for side in ('GT', 'LQ'):
        (clips / side / '001' / file).write_text('no image')
    assert prepare(*roots(clips)) == 0
    assert f'Skipped {clips / "GT/001" / file}: ' in capsys.readouterr().out


def test_links_to_folders_are_followed(clips: Path) -> None:
    for side in ('GT', 'LQ'):
        shutil.move(clips / side / '001', clips / f'{side}_elsewhere')
        (clips / side / '001').symlink_to(clips / f'{side}_elsewhere')
        (clips / side / '002/back').symlink_to(clips / side)
    assert prepare(*roots(clips)) == 0
    assert names(clips / 'store') == ['000', '001', '002']


@pytest.mark.parametrize('lq', [lambda n: f'{n:08d}x4.png', lambda n: f'{n:08d}.PNG'], ids=['suffix', 'extension'])
@pytest.mark.parametrize('layout', ['reds', 'images'])
def test_lq_with_another_name(clips: Path, lq: Callable[[int], str], layout: str) -> None:
    rename_frames(clips / 'LQ', lq)
    assert prepare(*roots(clips, '--layout', layout, '--verify')) == 0
    assert len(names(clips / 'store')) == (3 if layout == 'reds' else 14)


@pytest.mark.parametrize(('share', 'code'), [(1.0, 0), (0.6, 2)])
def test_a_video_that_breaks_off(tmp_path: Path, share: float, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    film = truncated_film(tmp_path / 'film.avi', 40, share)
    arguments = ('--gt', film, '--degradation', 'bd', '--clip-length', '5', '-o', tmp_path / 'store')
    assert prepare(*arguments) == code
    if code:
        assert 'breaks off' in capsys.readouterr().err
        assert prepare(*arguments, '--allow-missing') == 0


def test_a_video_that_cannot_be_read_leaves_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    film, other = truncated_film(tmp_path / 'film.avi', 10, 1), tmp_path / 'other.mp4'
    other.write_text('no video')
    arguments = ('--degradation', 'bd', '--clip-length', '5', '-o', tmp_path / 'store')
    assert prepare('--gt', other, film, *arguments) == 2
    assert f'{other} has no frame' in capsys.readouterr().err
    assert names(tmp_path / 'store') == ['film/0000', 'film/0001']


def test_a_sequence_that_is_listed_twice_is_one_clip(clips: Path) -> None:
    meta = clips / 'meta.txt'
    meta.write_text(meta.read_text() + meta.read_text().splitlines(keepends=True)[1])
    options = {'scale': SCALE, 'datasets': {'train': block(clips, type='REDSRecurrentDataset')}}
    (clips / 'x.yml').write_text(yaml.safe_dump(options))
    assert prepare('-opt', clips / 'x.yml', '-o', clips / 'store') == 0
    assert names(clips / 'store') == ['000', '001', '002']


def test_a_folder_of_videos(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    film = truncated_film(tmp_path / 'film.avi', 5, 1)
    assert prepare('--gt', tmp_path, '--degradation', 'bd', '-o', tmp_path / 'store') == 2
    assert f'name the videos themselves: --gt {film} ...' in capsys.readouterr().err


def test_the_folder_of_one_clip(clips: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prepare('--gt', clips / 'GT/000', '--degradation', 'bd', '-o', clips / 'store') == 2
    assert f'the folder that holds the clips, {clips / "GT"}' in capsys.readouterr().err


def test_the_list_of_any_names_is_read_back(tmp_path: Path) -> None:
    """From folders, and from LMDBs, whose keys have spaces and dots too."""
    clips = {'my clip': 4, '007': 4, '\u00fc \u4e2d': 4, 'v1.0/a b': 4, '1 (2,2,3)': 4, 'x 5': 4}
    write_reds(tmp_path, clips)
    databases = to_lmdb(tmp_path, tmp_path / 'databases')
    for place, sides in (('folders', tmp_path), ('lmdb', databases)):
        suffix = '.lmdb' if place == 'lmdb' else ''
        store = tmp_path / place
        assert prepare('--gt', f'{sides}/GT{suffix}', '--lq', f'{sides}/LQ{suffix}', '-o', store) == 0
        listed = read_meta_file(str(store / 'meta_info.txt'))
        assert sorted(listed) == sorted((name, 4, *SIZE) for name in clips)
        StoreFrames(store).check(listed)


@pytest.mark.parametrize('name', [b'\xff\xfe', b' x', b'x '])
def test_a_name_that_no_list_can_have(clips: Path, name: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    for side in ('GT', 'LQ'):
        os.rename(clips / side / '001', os.path.join(os.fsencode(clips / side), name))
    assert prepare(*roots(clips)) == 2
    printed = capsys.readouterr()
    assert 'cannot be the name of a clip in a store' in printed.err and 'Traceback' not in printed.err
    assert names(clips / 'store') == OTHERS

"""`mg-basicsr prepare` where a clip is there by name alone: a line for it, exit code 2, and the others in the store."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.helpers.foreign_sets import rename_frames, truncated_film
from tests.helpers.frame_sets import to_lmdb, write_reds
from tests.helpers.prepare_command import names, prepare

Change = Callable[[Path], None]  # of the folder of one side


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    return write_reds(tmp_path / 'set', {'000': 4, '001': 6, '002': 4})


def of_another_format(side: Path) -> None:
    for path in list((side / '001').iterdir()):
        np.save(path.with_suffix('.npy'), cv2.imread(str(path)))
        path.unlink()


def empty(side: Path) -> None:
    shutil.rmtree(side / '001')
    (side / '001').mkdir()


def only_files_of_a_system(side: Path) -> None:
    empty(side)
    (side / '001/.DS_Store').write_text('x')


def a_link_to_nothing(side: Path) -> None:
    shutil.rmtree(side / '001')
    (side / '001').symlink_to('/not/mounted/001')


def a_last_frame_that_is_a_link_to_nothing(side: Path) -> None:
    (side / '001/00000005.png').unlink()
    (side / '001/00000005.png').symlink_to('/not/mounted/00000005.png')


def a_last_frame_that_is_downloaded_in_part(side: Path) -> None:
    (side / '001/00000005.png').rename(side / '001/00000005.png.crdownload')


def all_downloaded_in_part(side: Path) -> None:
    rename_frames(side, lambda n: f'{n}.png')
    for path in list((side / '001').iterdir()):
        path.rename(f'{path}.part')


def an_archive(side: Path) -> None:
    shutil.make_archive(str(side / '001'), 'gztar', side / '001')
    shutil.rmtree(side / '001')


def a_video(side: Path) -> None:
    shutil.rmtree(side / '001')
    truncated_film(side / '001.avi', 6, 1)


LOSSES = [
    of_another_format, empty, only_files_of_a_system, a_link_to_nothing, a_last_frame_that_is_a_link_to_nothing,
    a_last_frame_that_is_downloaded_in_part, all_downloaded_in_part, an_archive, a_video,
]  # fmt: skip


@pytest.mark.parametrize('degraded', [True, False], ids=['made LQ', 'LQ'])
@pytest.mark.parametrize('lose', LOSSES)
def test_a_clip_that_is_there_by_name_alone(
    clips: Path, lose: Change, degraded: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """On both sides, so that nothing differs between them."""
    for side in ('GT', 'LQ'):
        lose(clips / side)
    lq = ('--degradation', 'bd') if degraded else ('--lq', clips / 'LQ')
    arguments = ('--gt', clips / 'GT', *lq, '-o', clips / 'store')
    assert prepare(*arguments) == 2
    told = capsys.readouterr().err
    assert f'{clips}/GT/001' in told and '--allow-missing' in told
    assert names(clips / 'store') == ['000', '002']
    assert prepare(*arguments, '--allow-missing') == 0


def ppm(side: Path) -> None:
    for path in list(side.rglob('*.png')):
        cv2.imwrite(str(path.with_suffix('.ppm')), cv2.imread(str(path)))
        path.unlink()


def an_archive_of_all(side: Path) -> None:
    shutil.make_archive(str(side.parent / 'all'), 'zip', side)
    shutil.move(side.parent / 'all.zip', side / 'train.zip')


def an_archive_beside_its_folder(side: Path) -> None:
    shutil.make_archive(str(side / '001'), 'zip', side / '001')


def a_folder_of_notes(side: Path) -> None:
    (side / 'notes').mkdir()
    (side / 'notes/readme.txt').write_text('x')


def times_in_names(side: Path) -> None:
    rename_frames(side, lambda n: f'{1000 + round(n * 100 / 3)}.png')


@pytest.mark.parametrize(
    'change', [ppm, an_archive_of_all, an_archive_beside_its_folder, a_folder_of_notes, times_in_names]
)
def test_what_is_no_loss(clips: Path, change: Change) -> None:
    for side in ('GT', 'LQ'):
        change(clips / side)
    assert prepare('--gt', clips / 'GT', '--lq', clips / 'LQ', '-o', clips / 'store') == 0
    assert names(clips / 'store') == ['000', '001', '002']


def test_a_clip_in_the_folder_of_another(clips: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Previews; if LQ has it too, it is a clip."""
    shutil.copytree(clips / 'GT/001', clips / 'GT/000/thumbs')
    arguments = ('--gt', clips / 'GT', '--degradation', 'bd', '-o', clips / 'store')
    assert prepare(*arguments) == 2
    assert '000/thumbs with 6 images is in the folder of clip 000' in capsys.readouterr().err
    assert names(clips / 'store') == ['000', '001', '002']
    shutil.copytree(clips / 'LQ/001', clips / 'LQ/000/thumbs')
    assert prepare('--gt', clips / 'GT', '--lq', clips / 'LQ', '-o', clips / 'both') == 0
    assert names(clips / 'both') == ['000', '000/thumbs', '001', '002']


def test_an_lmdb_with_more_than_its_list(clips: Path, capsys: pytest.CaptureFixture[str]) -> None:
    to_lmdb(clips, clips / 'd')
    for side in ('GT', 'LQ'):
        meta = clips / f'd/{side}.lmdb/meta_info.txt'
        meta.write_text(''.join(meta.read_text().splitlines(keepends=True)[:4]))
    arguments = ('--gt', clips / 'd/GT.lmdb', '--lq', clips / 'd/LQ.lmdb', '-o', clips / 'store')
    assert prepare(*arguments) == 2
    assert 'GT.lmdb/meta_info.txt lists 4 keys of 14 in the LMDB' in capsys.readouterr().err
    assert prepare(*arguments, '--allow-missing') == 0


def test_archives_in_place_of_clips(clips: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ('000', '001', '002'):
        shutil.make_archive(str(clips / 'GT' / name), 'zip', clips / 'GT' / name)
        shutil.rmtree(clips / 'GT' / name)
    assert prepare('--gt', clips / 'GT', '--degradation', 'bd', '-o', clips / 'store') == 2
    assert 'no images, but 3 archives such as 000.zip' in capsys.readouterr().err


def test_both_roots_are_named(clips: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prepare('--gt', clips / 'nogt', '--lq', clips / 'nolq', '-o', clips / 'store') == 2
    told = capsys.readouterr().err
    assert 'nogt' in told and 'nolq' in told

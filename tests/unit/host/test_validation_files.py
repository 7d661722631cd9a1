"""Every frame of the validation sets is looked at: that it exists, is an image, and has its size."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mg_basicsr.host.validation_files import image_size, validation_problems
from tests.helpers.clips import write_set
from tests.helpers.stock_files import recipe, write_data


@pytest.fixture(scope='module')
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_set(tmp_path_factory.mktemp('validation'))
    write_data(root)
    return root


@pytest.fixture
def data(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / 'data'))


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def resize(path: Path, height: int, width: int) -> None:
    cv2.imwrite(str(path), np.zeros((height, width, 3), np.uint8))


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


CLIP = 'val/LQ/011'
FAULTS: list[tuple[str, Callable[[Path], Any], str]] = [
    ('recurrent_reds', lambda d: (d / CLIP / '00000001.png').unlink(), 'clip 011 has 4 GT frames and 3 LQ frames'),
    ('recurrent_reds', lambda d: shutil.rmtree(d / CLIP), 'GT has 2 clips and LQ 1; on one side only: 011'),
    ('recurrent_reds', lambda d: (d / CLIP).rename(d / 'val/LQ/012'), 'on one side only: 011, 012'),
    ('recurrent_reds', lambda d: (d / CLIP / '00000001.png').write_bytes(b''), '00000001.png (clip 011) cannot be'),
    ('recurrent_reds', lambda d: flip(d / CLIP / '00000001.png'), '00000001.png (clip 011) is damaged'),
    ('recurrent_reds', lambda d: resize(d / CLIP / '00000002.png', 23, 32), 'its LQ 23x32'),
    ('recurrent_reds', lambda d: [p.write_text('x') for p in (d / 'val/GT/011/a.db', d / CLIP / 'a.db')], 'a.db'),
    ('edvr', lambda d: (d / 'one.txt').write_text('009 9 (96,128,3)\n'), '009'),
    ('edvr', lambda d: resize(d / 'GT/001/00000003.png', 97, 128), '97x128 pixels'),
    ('recurrent_vimeo', lambda d: (d / 'septuplets/LQ/00001/0001/im2.png').unlink(), 'im2.png (clip 00001/0001)'),
    ('recurrent_vimeo', lambda d: (d / 'septuplets/GT/00001/0001/im4.png').unlink(), 'im4.png (clip 00001/0001)'),
    ('recurrent_vimeo', lambda d: pipe(d / 'septuplets/LQ/00001/0001/im2.png'), 'a pipe, a socket or a device'),
    ('image', lambda d: resize(d / 'images/GT/002.png', 95, 128), '95x128 pixels'),
    ('image', lambda d: (d / 'images/LQ/002.png').unlink(), '3 GT images and 2 LQ images'),
]


@pytest.mark.parametrize(('kind', 'damage', 'told'), FAULTS, ids=[told for _, _, told in FAULTS])
def test_faults_of_files(data: Path, kind: str, damage: Callable[[Path], Any], told: str) -> None:
    damage(data)
    problems = validation_problems(recipe(kind, data))
    assert problems and all(problem.option == 'datasets.val' for problem in problems)
    assert any(told in str(problem) for problem in problems), problems


@pytest.mark.parametrize('kind', ['recurrent_reds', 'recurrent_vimeo', 'edvr', 'image'])
def test_undamaged_sets(data: Path, kind: str) -> None:
    assert validation_problems(recipe(kind, data), whole=True) == []


@pytest.mark.parametrize('frames', [-3, -1, 0, 8])
def test_windows_that_septuplets_do_not_have(data: Path, frames: int) -> None:
    options = recipe('recurrent_vimeo', data)
    options['datasets']['val']['num_frame'] = frames
    assert [problem.option for problem in validation_problems(options)] == ['datasets.val.num_frame']


def test_images_larger_than_a_multiple_are_cropped_by_the_host(data: Path) -> None:
    resize(data / 'images/GT/002.png', 98, 131)
    assert validation_problems(recipe('image', data)) == []


def test_sets_that_are_not_known_are_left_alone(data: Path) -> None:
    options = recipe('image', data)
    options['datasets']['val'] |= {'type': 'Own', 'dataroot_gt': str(data / 'GT')}
    assert validation_problems(options) == []


def test_few_of_many_problems(data: Path) -> None:
    for path in (data / 'val/GT').rglob('*.png'):
        path.write_bytes(path.read_bytes()[:40])
    *first, last = validation_problems(recipe('recurrent_reds', data))
    assert len(first) == 5 and 'and 3 more' in str(last)


def test_a_jpeg_is_decoded(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / 'a.jpg'), np.zeros((5, 7, 3), np.uint8))
    assert image_size(tmp_path / 'a.jpg') == (5, 7)

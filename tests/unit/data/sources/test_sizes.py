"""GT and LQ frames whose sizes do not fit: the message names the cause before a sample is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import pytest

from mg_basicsr.data.datasets.reds import REDSRecurrent
from mg_basicsr.data.sources.sizes import Sizes, misfit
from mg_basicsr.errors import DataError
from mg_basicsr.train_set import TrainSetOptions
from tests.helpers.frame_sets import SCALE, block, write_reds


@pytest.mark.parametrize(
    ('gt', 'lq', 'listed', 'option', 'told'),
    [
        ((48, 64), (12, 16), None, '', ''),
        ((48, 64), (12, 16), (48, 64), '', ''),
        ((50, 67), (12, 16), None, '', ''),  # LQ of whole pixels
        ((12, 16), (48, 64), None, 'dataroot_gt', 'they are exchanged'),
        ((48, 64), (48, 64), None, 'dataroot_lq', 'both are GT'),
        ((48, 64), (24, 32), None, 'scale', 'their scale is 2'),
        ((48, 64), (6, 8), None, 'scale', 'their scale is 8'),
        ((48, 64), (13, 16), None, 'dataroot_lq', 'GT frames are 48x64'),
        ((720, 1280), (120, 213), None, 'scale', 'their scale is 6'),
        ((48, 64), (12, 16), (64, 48), 'meta_info_file', 'width and height exchanged'),
        ((48, 64), (12, 16), (12, 16), 'meta_info_file', 'which is that of LQ'),
        ((48, 64), (12, 16), (96, 128), 'meta_info_file', '96x128 in the list'),
    ],
)
def test_the_cause(
    gt: tuple[int, int], lq: tuple[int, int], listed: tuple[int, int] | None, option: str, told: str
) -> None:
    found = misfit(Sizes(gt, lq, listed), 4, '001')
    if not told:
        assert found is None
        return
    assert found is not None and all(found)
    assert found.option.endswith(option) and told in found.what


def exchanged(root: Path) -> None:
    (root / 'GT').rename(root / 'x')
    (root / 'LQ').rename(root / 'GT')
    (root / 'x').rename(root / 'LQ')


def another_scale(root: Path) -> None:
    for path in (root / 'LQ').rglob('*.png'):
        cv2.imwrite(str(path), cv2.imread(str(path))[::2, ::2])


def size_of_lq_in_the_list(root: Path) -> None:
    meta = root / 'meta.txt'
    meta.write_text(meta.read_text().replace('(48,64,3)', '(12,16,3)'))


@pytest.mark.parametrize(
    ('change', 'told'),
    [(exchanged, 'exchanged'), (another_scale, 'scale is 8'), (size_of_lq_in_the_list, 'that of LQ')],
)
def test_sets(tmp_path: Path, change: Callable[[Path], None], told: str) -> None:
    root = write_reds(tmp_path, {'001': 3})
    options = TrainSetOptions.parse(block(root, num_frame=3), SCALE)
    REDSRecurrent(options).check_sizes()
    change(root)
    with pytest.raises(DataError, match=told):
        REDSRecurrent(options).check_sizes()

"""Gaps in the numbers of frames, and the listing of folders."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from mg_basicsr.data.listing.folders import gap, list_images_below
from mg_basicsr.data.listing.image_lists import list_images
from mg_basicsr.train_set import TrainSetOptions
from tests.helpers.frame_sets import SCALE, block


@pytest.mark.parametrize(
    ('frames', 'found'),
    [
        (['0.png', '1.png', '2.png'], ''),
        (['3.png'], ''),
        (['im9.png', 'im10.png'], ''),
        (['0.png', '5.png', '10.png'], ''),
        (['0x4.png', '1x4.png', '2x4.png'], ''),
        (['a.png', 'b.png', 'c.png'], ''),
        (['s1_1.png', 's1_2.png', 's2_1.png'], ''),
        (['0.png', '1.png', '3.png'], 'has no frame between 1.png and 3.png'),
        (['0.png', '2.png', '3.png'], 'has no frame between 0.png and 2.png'),
        (['0x4.png', '1x4.png', '9x4.png'], 'has no frame between 1x4.png and 9x4.png'),
        (['s1_1.png', 's1_2.png', 's1_4.png'], 'has no frame between s1_2.png and s1_4.png'),
        (['0.png', '1.jpg', '1.png', '2.png'], 'has two frames of one number, 1.jpg and 1.png'),
        (['1000.png', '1033.png', '1067.png', '1100.png'], ''),  # milliseconds
        (['1000.png', '1033.png', '1100.png', '1133.png'], 'has no frame between 1033.png and 1100.png'),
        (['f0_0ms.png', 'f1_33ms.png', 'f2_67ms.png'], ''),
        (['f0_0ms.png', 'f1_33ms.png', 'f3_100ms.png'], 'has no frame between f1_33ms.png and f3_100ms.png'),
        (['0_1a.png', '1_1b.png', '3_1c.png'], 'has no frame between 1_1b.png and 3_1c.png'),
        (['a2.png', 'b1.png', 'c5.png'], ''),
    ],
)
def test_gaps(frames: list[str], found: str) -> None:
    assert gap([f'clip/{name}' for name in frames]) == found


def test_a_link_back_is_skipped_and_a_link_to_nothing_is_a_loss(tmp_path: Path) -> None:
    (tmp_path / 'a').mkdir()
    (tmp_path / 'a/1.png').touch()
    (tmp_path / 'a/back').symlink_to(tmp_path)
    (tmp_path / 'a/2.png').symlink_to(tmp_path / 'nowhere')
    listing = list_images_below(str(tmp_path), '--gt')
    assert listing.names == ['a/1.png']
    assert [line.rpartition(': ')[2] for line in listing.skipped] == ['a link to a folder that it is in']
    assert [problem.what for problem in listing.problems] == [
        f'{tmp_path}/a/2.png is a link to {tmp_path}/nowhere, which does not exist'
    ]


def test_nothing_is_opened_and_circles_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pipes, sockets, devices and links in a circle beside the images, in the listings of clips and of pairs."""
    for side in ('GT', 'LQ'):
        folder = tmp_path / side / 'clip'
        folder.mkdir(parents=True)
        (folder / '1.png').touch()
        os.mkfifo(folder / '2.png')
        (folder / '3.png').symlink_to('/dev/zero')
        (folder / '4.png').symlink_to('4.png')
        (folder / '5').symlink_to('../clip/5')
        monkeypatch.chdir(folder)  # the path of a socket is short
        with socket.socket(socket.AF_UNIX) as server:
            server.bind('6.png')
    listing = list_images_below(str(tmp_path), '--gt')
    assert listing.names == ['GT/clip/1.png', 'LQ/clip/1.png']
    assert len(listing.skipped) == 2 * 5 and not listing.problems
    changes = {'dataroot_gt': str(tmp_path / 'GT/clip'), 'dataroot_lq': str(tmp_path / 'LQ/clip')}
    images, _ = list_images(TrainSetOptions.parse(block(tmp_path, meta_info_file=None, **changes), SCALE))
    assert [image.name for image in images] == ['1.png']

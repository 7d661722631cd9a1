"""Gaps in the numbers of frames, and the listing of folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from mg_basicsr.data.listing.folders import gap, list_images_below


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
    ],
)
def test_gaps(frames: list[str], found: str) -> None:
    assert gap([f'clip/{name}' for name in frames]) == found


def test_a_link_back_and_a_link_to_nothing_are_skipped(tmp_path: Path) -> None:
    (tmp_path / 'a').mkdir()
    (tmp_path / 'a/1.png').touch()
    (tmp_path / 'a/back').symlink_to(tmp_path)
    (tmp_path / 'a/2.png').symlink_to(tmp_path / 'nowhere')
    listing = list_images_below(str(tmp_path), '--gt')
    assert listing.names == ['a/1.png']
    assert [line.rpartition(': ')[2] for line in listing.skipped] == [
        'neither a file nor a folder, or a link to nothing',
        'a link to a folder that it is in',
    ]

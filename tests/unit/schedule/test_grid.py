"""What a small shape may span."""

from __future__ import annotations

import pytest

from mg_basicsr.schedule.grid import OFF, Grid
from mg_basicsr.schedule.shape import BatchShape

BOTH = Grid(frames=15, size=256, temporal=True, spatial=True)


@pytest.mark.parametrize(
    ('grid', 'frames', 'size', 'stride', 'span'),
    [
        (BOTH, 15, 256, 1, 0),
        (BOTH, 8, 256, 1, 0),
        (BOTH, 7, 256, 2, 0),
        (BOTH, 5, 128, 3, 256),
        (BOTH, 4, 180, 3, 256),
        (BOTH, 1, 252, 15, 256),
        (BOTH, 17, 288, 1, 0),  # lin2022's extra stage, above the baseline
        (Grid(14, 256, True, True), 6, 128, 2, 256),  # mirrored: 3 of 7 frames
        (Grid(15, 256, temporal=True), 7, 128, 2, 0),
        (Grid(15, 256, spatial=True), 7, 128, 1, 256),
        (Grid(15, 256), 7, 128, 1, 0),
        (OFF, 7, 128, 1, 0),
    ],
)
def test_limits(grid: Grid, frames: int, size: int, stride: int, span: int) -> None:
    assert grid.limits(BatchShape(4, frames, size)) == (stride, span)

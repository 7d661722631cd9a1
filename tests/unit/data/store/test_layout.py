"""The arithmetic of places in a clip's file."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mg_basicsr.data.crops.crop import Window
from mg_basicsr.data.store.layout import CHANNELS, Geometry, Side, spans

EDGES = st.integers(1, 60)


@given(st.data(), EDGES, EDGES)
def test_spans_divide_a_crop(data: st.DataObject, length: int, tile: int) -> None:
    size = data.draw(st.integers(1, length))
    start = data.draw(st.integers(0, length - size))
    found = spans(start, size, length, tile)
    pixels = [span.begin + span.inside + offset for span in found for offset in range(span.size)]
    assert pixels == list(range(start, start + size))
    assert [span.at for span in found] == list(np.cumsum([0, *(span.size for span in found[:-1])]))
    for span in found:
        assert span.begin % tile == 0
        assert span.extent == min(tile, length - span.begin)
        assert 0 <= span.inside <= span.inside + span.size <= span.extent


@given(EDGES, EDGES, st.integers(1, 70), st.integers(1, 3), st.integers(0, 100))
def test_tiles_fill_a_side_without_gaps(height: int, width: int, tile: int, frames: int, start: int) -> None:
    side = Side(start, frames, height, width, tile)
    position = start
    for number, (rows, columns) in enumerate(side.whole()):
        assert side.offset(rows, columns) == position
        assert side.number(rows, columns) == number
        position += CHANNELS * frames * rows.extent * columns.extent
    assert position == start + side.bytes
    assert number + 1 == side.tiles


@given(st.data(), EDGES, EDGES, st.integers(1, 70))
def test_a_crop_is_covered_by_tiles(data: st.DataObject, height: int, width: int, tile: int) -> None:
    size = data.draw(st.integers(1, min(height, width)))
    window = Window(data.draw(st.integers(0, height - size)), data.draw(st.integers(0, width - size)), size)
    covered = np.zeros((size, size), int)
    for rows, columns in Side(0, 1, height, width, tile).cover(window):
        covered[rows.at : rows.at + rows.size, columns.at : columns.at + columns.size] += 1
    assert (covered == 1).all()


@pytest.mark.parametrize('window', [(-1, 0, 4), (0, 7, 4), (7, 0, 4), (0, 0, 11), (0, 0, 0)])
def test_a_window_outside_is_refused(window: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match='is not inside frames of 10x10'):
        Side(0, 1, 10, 10, 4).cover(Window(*window))


@pytest.mark.parametrize(('scale', 'size'), [(1, 2 * 3 * 5 * 48 * 64), (4, 3 * 5 * (48 * 64 + 12 * 16))])
def test_bytes_of_both_sides(scale: int, size: int) -> None:
    geometry = Geometry(5, 48, 64, 20, 10, scale)
    lq, gt = geometry.sides()
    assert geometry.bytes == size == gt.bytes + lq.bytes
    assert (gt.start, lq.start) == (0, gt.bytes)

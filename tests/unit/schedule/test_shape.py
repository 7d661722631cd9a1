"""Rounding of sizes and clip lengths."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mg_basicsr.schedule.shape import BatchShape, distinct, fraction_of, round_frames, round_size


def test_pixels() -> None:
    assert BatchShape(clips=2, frames=3, size=10).pixels == 600


@pytest.mark.parametrize(
    ('fraction', 'full', 'expected'),
    [
        (0.5, 256, 128),
        (0.75, 15, 11),
        (0.5, 15, 7),
        (1.0, 15, 15),
        (0.58, 50, 29),  # 0.58 * 50 is 28.99... in binary
        (0.29, 100, 29),
        (0.1, 7, 0),
        (1e-5, 300_000, 3),
    ],
)
def test_fractions_are_decimal_and_rounded_down(fraction: float, full: int, expected: int) -> None:
    assert fraction_of(fraction, full) == expected


@given(
    gt_size=st.integers(1, 600),
    lq_full=st.integers(1, 120),
    scale=st.integers(1, 4),
    multiple=st.integers(1, 24),
    minimum=st.integers(1, 80),
)
def test_round_size(gt_size: int, lq_full: int, scale: int, multiple: int, minimum: int) -> None:
    full = lq_full * scale
    size = round_size(gt_size, full, scale, multiple, minimum)
    if gt_size >= full:
        assert size == gt_size
        return
    assert size <= full
    assert size % scale == 0
    assert size == full or (size // scale) % multiple == 0
    assert size // scale >= min(minimum, lq_full)
    if size < full and size // scale > minimum + multiple - 1:
        assert gt_size - multiple * scale < size <= gt_size


@given(frames=st.integers(0, 40), full=st.integers(1, 20), minimum=st.integers(1, 30), mirrored=st.booleans())
def test_round_frames(frames: int, full: int, minimum: int, mirrored: bool) -> None:
    full = 2 * full if mirrored else full
    rounded = round_frames(frames, full, minimum, mirrored)
    if frames >= full:
        assert rounded == frames
        return
    assert min(minimum, full) <= rounded <= full
    assert not mirrored or rounded % 2 == 0
    assert rounded - max(frames, min(minimum, full)) in ((0, 1) if mirrored else (0,))


@pytest.mark.parametrize(
    ('values', 'expected'),
    [([], []), ([1], [1]), ([1, 1, 2, 2, 1], [1, 2, 1]), ([(1, 2), (1, 2), (1, 3)], [(1, 2), (1, 3)])],
)
def test_distinct(values: list[object], expected: list[object]) -> None:
    assert distinct(values) == expected

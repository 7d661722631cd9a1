"""Crops and flips."""

from __future__ import annotations

import random
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mg_basicsr.data.crops.crop import Flips, Window, draw_flips, draw_window, flipped_flow, split_planes
from mg_basicsr.data.datasets.frame_choice import maybe_reversed, window_around

ALL_FLIPS = [Flips(*flags) for flags in product([False, True], repeat=3)]
SEEDS = st.integers(0, 2**64 - 1)


def flipped(image: NDArray[np.uint8], flips: Flips) -> NDArray[np.uint8]:
    """One (s, s, ...) image, step by step."""
    if flips.horizontal:
        image = np.fliplr(image)
    if flips.vertical:
        image = np.flipud(image)
    return np.swapaxes(image, 0, 1) if flips.transpose else image


def split(frame: NDArray[np.uint8], flips: Flips) -> NDArray[np.uint8]:
    planes = np.empty((3, *frame.shape[:2]), np.uint8)
    split_planes(frame, flips, planes)
    return planes


@pytest.mark.parametrize('flips', ALL_FLIPS)
@pytest.mark.parametrize('size', [1, 5, 8])
def test_frames(flips: Flips, size: int) -> None:
    frame = np.random.default_rng(size).integers(0, 256, (size, size, 3), np.uint8)
    before = frame.copy()
    assert np.array_equal(split(frame, flips), flipped(frame, flips).transpose(2, 0, 1))
    assert np.array_equal(frame, before)


def test_the_eight_flips_differ() -> None:
    frame = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    assert len({split(frame, flips).tobytes() for flips in ALL_FLIPS}) == 8


@pytest.mark.parametrize('flips', ALL_FLIPS)
def test_flows_still_point_at_the_same_pixel(flips: Flips) -> None:
    """A flow carries a pixel to its target: the flipped flow must carry the flipped pixel to the flipped target."""
    size = 6
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:size, :size]
    target_y, target_x = rng.integers(0, size, (2, size, size))
    flow = np.stack([target_x - x, target_y - y], axis=-1).astype(np.float32)[None]
    before = flow.copy()
    label = flipped((y * size + x).astype(np.uint8), flips)
    turned = flipped_flow(flow, flips)
    assert turned.shape == (1, 2, size, size)
    assert turned.flags.c_contiguous
    wanted = flipped((target_y * size + target_x).astype(np.uint8), flips)
    dx, dy = turned[0].astype(int)
    assert np.array_equal(label[y + dy, x + dx], wanted)
    assert np.array_equal(flow, before)


@given(SEEDS, st.integers(1, 40), st.integers(1, 40), st.data())
def test_windows_are_inside(seed: int, height: int, width: int, data: st.DataObject) -> None:
    size = data.draw(st.integers(1, min(height, width)))
    window = draw_window(random.Random(seed), height, width, size)
    assert 0 <= window.top <= height - size
    assert 0 <= window.left <= width - size
    assert window.size == size


def test_every_place_and_every_flip_is_drawn() -> None:
    rng = random.Random(0)
    assert len({draw_window(rng, 6, 8, 4) for _ in range(500)}) == 3 * 5
    assert {draw_flips(rng, True, True) for _ in range(200)} == set(ALL_FLIPS)
    assert {draw_flips(rng, True, False) for _ in range(50)} == {Flips(), Flips(horizontal=True)}
    assert not any(draw_flips(rng, False, True).horizontal for _ in range(50))
    assert {draw_flips(rng, False, False) for _ in range(50)} == {Flips()}


def test_windows_on_gt_and_lq_show_the_same() -> None:
    gt = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    window = Window(2, 3, 5)
    assert window.scaled(4) == Window(8, 12, 20)
    assert np.array_equal(window.cut(gt[::4, ::4]), window.scaled(4).cut(gt)[::4, ::4])


def test_windows_of_frames() -> None:
    assert window_around(10, 5) == [8, 9, 10, 11, 12]
    assert window_around(10, 3, interval=4) == [6, 10, 14]
    assert window_around(0, 1) == [0]


def test_half_of_the_clips_are_reversed() -> None:
    rng = random.Random(0)
    reversed_clips = sum(maybe_reversed(rng, [1, 2, 3], True) == [3, 2, 1] for _ in range(1000))
    assert 450 < reversed_clips < 550
    before = rng.getstate()
    assert maybe_reversed(rng, [1, 2], False) == [1, 2]
    assert rng.getstate() == before

"""Resampling: exact sums, weights that add up, and the values of a plain computation in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mg_basicsr.data.crops.resample import EIGHTHS, WEIGHT, Axis, cubic, filtered, resample, resampling


def plain(image: NDArray[np.uint8], start: int, span: int, size: int, margin: int) -> NDArray[np.float64]:
    """Each sample of each axis by itself, from its definition, in float64 and without rounding."""

    def one_axis(values: NDArray[np.float64]) -> NDArray[np.float64]:
        extended = np.pad(values, [(400, 400), (0, 0)], mode='symmetric')
        made = []
        for sample in range(-margin, size + margin):
            center = start + (sample + 0.5) * span / size - 0.5
            pixels = np.arange(int(center - 2 * span / size) - 1, int(center + 2 * span / size) + 2)
            weights = cubic((center - pixels) * size / span)
            made.append(weights @ extended[pixels + 400] / weights.sum())
        return np.array(made)

    return one_axis(one_axis(image.astype(np.float64)).T).T


def noise(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(shape).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize(
    ('start', 'span', 'size', 'margin'),
    [(0, 64, 48, 8), (16, 40, 24, 8), (32, 32, 20, 0), (0, 64, 4, 8), (20, 12, 12, 4), (60, 4, 4, 16)],
)
def test_within_a_level_of_float64(start: int, span: int, size: int, margin: int) -> None:
    image = noise(64, 64)
    axis = resampling(start, span, size, margin, 64)
    read = slice(axis.first, axis.first + axis.reads)
    made = resample(image[None, read, read], axis, axis)[0]
    expected = plain(image, start, span, size, margin).clip(0, 255)
    assert made.shape == (size + 2 * margin, size + 2 * margin)
    assert np.abs(made - expected).max() < 1
    assert np.abs(made - expected).mean() < 0.3  # rounding alone: 0.25


def test_a_span_of_the_crops_size_is_the_crop() -> None:
    image = noise(40, 50)
    rows, columns = resampling(8, 12, 12, 0, 40), resampling(20, 12, 12, 0, 50)
    area = image[None, rows.first : rows.first + rows.reads, columns.first : columns.first + columns.reads]
    assert np.array_equal(resample(area, rows, columns)[0], image[8:20, 20:32])


@given(start=st.integers(0, 30), size=st.integers(1, 30), more=st.integers(0, 40), level=st.integers(0, 255))
def test_weights_are_whole_and_add_up(start: int, size: int, more: int, level: int) -> None:
    axis = resampling(start, size + more, size, 8, 100)
    assert axis.first >= 0 and axis.first + axis.reads <= 100
    assert torch.equal(axis.weights, axis.weights.round())
    assert (axis.weights.sum(dim=1) == WEIGHT).all()
    flat = np.full((2, axis.reads, axis.reads), level, np.uint8)
    assert (resample(flat, axis, axis) == level).all()


@given(size=st.integers(1, 60), more=st.integers(0, 90))
def test_sums_stay_exact_in_float32(size: int, more: int) -> None:
    """The largest sum that any pixels could give is below 2**24, in both axes."""
    axis = resampling(40, size + more, size, 8, 300)
    absolute = float(axis.weights.abs().sum(dim=1).max())
    first = 255 * absolute
    second = (first * EIGHTHS / WEIGHT + 0.5) * absolute
    assert max(first, second) < 2**24


def test_any_order_and_any_number_of_threads_give_the_same() -> None:
    """Equal to the bit to sums of integers, whatever torch has been set to."""
    axis = resampling(10, 150, 97, 8, 200)
    pixels = noise(6, axis.reads, axis.reads)
    made = resample(pixels, axis, axis)
    threads = torch.get_num_threads()
    torch.set_num_threads(4 if threads == 1 else 1)
    try:
        assert np.array_equal(resample(pixels, axis, axis), made)
    finally:
        torch.set_num_threads(threads)
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        assert np.array_equal(resample(pixels, axis, axis), made)
    finally:
        torch.set_default_dtype(default)
    weights = axis.weights.numpy().astype(np.int64)
    eighths = np.rint(pixels.astype(np.int64) @ weights.T * EIGHTHS / WEIGHT).astype(np.int64)
    levels = np.rint(weights @ eighths / (EIGHTHS * WEIGHT))
    assert np.array_equal(made, levels.clip(0, 255).astype(np.uint8))


def test_the_mirror_image_may_be_met_more_than_once() -> None:
    axis = filtered(np.array([-9.0, -1.0, 0.0, 3.0, 8.0]), 0.4, lambda distance: np.ones_like(distance), 3)
    expected = [2, 0, 0, 2, 2]  # of ... 2 2 1 0 | 0 1 2 | 2 1 0 0 1 2 ...
    assert axis == Axis(0, axis.weights)
    assert axis.weights.argmax(dim=1).tolist() == expected

"""Anti-aliased resampling of 8-bit planes, columns first, then rows; bit-identical on every machine.

Weights are whole multiples of 1/4096, and values between the two axes are rounded to eighths of a level. All sums are
then exact in float32 (below 2**24: 255 levels x 8 x 4096, with absolute weights of at most 1.25 in each axis) in any
order, so a sample depends neither on the number of threads nor on the machine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from mg_basicsr.data.crops.crop import Pixels

Positions = NDArray[np.float64]
Kernel = Callable[[Positions], Positions]  # weight of a pixel at a distance, up to a common factor

WEIGHT = 4096
EIGHTHS = 8
ROWS = 16  # of weights that are multiplied together: few enough to leave most zeros out, enough for a fast product


class Axis(NamedTuple):
    """Resampling of one axis of an image.

    Attributes:
        first: First pixel that is read.
        weights: float32 (samples made, pixels read), whole numbers; the sum of each row is 4096.
    """

    first: int
    weights: torch.Tensor

    @property
    def reads(self) -> int:
        """Number of pixels read, from `first` on."""
        return int(self.weights.shape[1])


def cubic(distance: Positions) -> Positions:
    """Return weights of cubic convolution, a = -1/2 (Keys 1981), zero from 2 on: MATLAB's and BasicSR's imresize."""
    x = np.abs(distance)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((2.5 - 0.5 * x) * x - 4) * x + 2
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def filtered(centers: Positions, reach: float, kernel: Kernel, length: int) -> Axis:
    """Return the axis that samples an image with a filter.

    Args:
        centers: Position of each sample in the image, float64 (samples); pixel 0 is at 0.
        reach: Distance in pixels beyond which the kernel is zero.
        kernel: Weight at a distance in pixels; weights are normalised for each sample.
        length: Pixels of the image along this axis; beyond both ends its mirror image continues it.
    """
    nearest = np.ceil(centers - reach).astype(np.int64)
    pixels = nearest[:, None] + np.arange(int(2 * reach) + 1)
    weights = kernel(centers[:, None] - pixels)
    mirrored = pixels % (2 * length)
    mirrored = np.where(mirrored < length, mirrored, 2 * length - 1 - mirrored)
    first = int(mirrored.min())
    dense = np.zeros((len(centers), int(mirrored.max()) + 1 - first))
    np.add.at(dense, (np.arange(len(centers))[:, None], mirrored - first), weights)
    whole = _whole(dense)
    used = np.flatnonzero(whole.any(axis=0))
    return Axis(first + int(used[0]), torch.from_numpy(np.ascontiguousarray(whole[:, used[0] : used[-1] + 1])))


def _whole(weights: Positions) -> NDArray[np.float32]:
    """Return weights normalised to units of 1/4096; the largest weight of each row absorbs the error of rounding."""
    units = np.rint(weights * (WEIGHT / weights.sum(axis=1, keepdims=True)))
    largest = np.arange(len(units)), units.argmax(axis=1)
    units[largest] += WEIGHT - units.sum(axis=1)
    return np.asarray(units, np.float32)


def resampling(start: int, span: int, size: int, margin: int, length: int) -> Axis:
    """Return the axis that resamples pixels start .. start + span - 1 to `size` samples, with a margin on each side.

    Sample 0 covers the image from `start` to `start` + span / size: edges are aligned with edges, as in imresize.

    Args:
        start: First pixel of the span, >= 0.
        span: Length of the span in pixels, >= size.
        size: Samples of the span, >= 1.
        margin: More samples on each side. Beyond the ends of the image they show its mirror image.
        length: Pixels of the image along this axis.
    """
    stride = span / size
    centers = start + (np.arange(-margin, size + margin, dtype=np.float64) + 0.5) * stride - 0.5
    return filtered(centers, 2 * stride, lambda distance: cubic(distance / stride), length)


def resample(planes: Pixels, rows: Axis, columns: Axis) -> Pixels:
    """Resample planes along both axes.

    Args:
        planes: uint8 (n, rows.reads, columns.reads).
        rows: The vertical axis.
        columns: The horizontal axis.

    Returns:
        uint8 (n, rows made, columns made), contiguous.
    """
    count, height, width = planes.shape
    pixels = torch.from_numpy(planes).to(torch.float32).reshape(count * height, width)
    narrow = _banded_product(columns.weights, pixels.T).mul_(EIGHTHS / WEIGHT).round_()
    made = _banded_product(rows.weights, narrow.view(-1, height).T).mul_(1 / (EIGHTHS * WEIGHT)).round_()
    levels = made.clamp_(0, 255).to(torch.uint8).view(len(rows.weights), -1, count)
    return np.ascontiguousarray(levels.permute(2, 0, 1).numpy())


def _banded_product(weights: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Multiply a banded matrix by another, a few rows at a time, to skip most of the zeros."""
    product = values.new_empty(len(weights), values.shape[1])
    for rows, made in zip(weights.split(ROWS), product.split(ROWS), strict=True):
        used = np.flatnonzero(rows.numpy().any(axis=0))
        band = slice(int(used[0]), int(used[-1]) + 1)
        torch.mm(rows[:, band], values[band], out=made)
    return product

"""Random crops and flips of frames and flows: BasicSR's `paired_random_crop` and `augment` as pure functions on uint8.

They draw the same random numbers in the same order, so a generator of equal seed gives an equal sample.
"""

from __future__ import annotations

import random
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Flow = NDArray[np.float32]


class Window(NamedTuple):
    """Place of a crop in a frame, in pixels of that frame. Only square crops can be flipped.

    Attributes:
        top: First row.
        left: First column.
        size: Height, and width too unless `columns` is set.
        columns: Width of a crop that is not square; 0 for a square one.
    """

    top: int
    left: int
    size: int
    columns: int = 0

    @property
    def width(self) -> int:
        """Columns of the crop."""
        return self.columns or self.size

    def scaled(self, scale: int) -> Window:
        """Return the window of GT that shows what this one shows of LQ; `scale` is GT pixels per LQ pixel."""
        return Window(self.top * scale, self.left * scale, self.size * scale, self.columns * scale)

    def cut(self, image: Pixels) -> Pixels:
        """Return the window of an image (h, w, ...): a view, (size, width, ...)."""
        return image[self.top : self.top + self.size, self.left : self.left + self.width]


class Flips(NamedTuple):
    """Flips of a crop, applied in this order. Together they give the eight symmetries of the square.

    Attributes:
        horizontal: Left to right.
        vertical: Top to bottom.
        transpose: Rows to columns.
    """

    horizontal: bool = False
    vertical: bool = False
    transpose: bool = False

    @property
    def code(self) -> int:
        """Flips as bits of a number from 0 to 7, `horizontal` lowest."""
        return self.horizontal + 2 * self.vertical + 4 * self.transpose

    @classmethod
    def from_code(cls, code: int) -> Flips:
        """Return the flips of a `code`, 0 .. 7."""
        return cls(bool(code & 1), bool(code & 2), bool(code & 4))


def draw_window(rng: random.Random, height: int, width: int, size: int) -> Window:
    """Draw a square window, uniformly over all positions in a frame.

    Args:
        rng: The sample's random numbers; two are drawn.
        height: Height of the frame in pixels.
        width: Width of the frame in pixels.
        size: Edge of the window in pixels, <= min(height, width).
    """
    return Window(rng.randint(0, height - size), rng.randint(0, width - size), size)


def draw_flips(rng: random.Random, use_hflip: bool, use_rot: bool) -> Flips:
    """Draw flips, each with probability 1/2. An option that is off draws no number, as in BasicSR.

    Args:
        rng: The sample's random numbers.
        use_hflip: Flip left to right.
        use_rot: Flip top to bottom, and transpose.
    """
    horizontal = use_hflip and rng.random() < 0.5
    vertical = use_rot and rng.random() < 0.5
    return Flips(horizontal, vertical, use_rot and rng.random() < 0.5)


def split_planes(image: Pixels, flips: Flips, planes: Pixels) -> None:
    """Write an image, flipped, as three planes.

    OpenCV takes a third of the time of NumPy's strided copies.

    Args:
        image: uint8 (h, w, 3).
        flips: Flips to apply.
        planes: uint8 (3, h, w), each plane contiguous; overwritten.
    """
    # OpenCV's codes: 1 left-right, 0 top-bottom, -1 both
    code = {(True, False): 1, (False, True): 0, (True, True): -1}.get((flips.horizontal, flips.vertical))
    flipped = image if code is None else cv2.flip(image, code)
    cv2.split(cv2.transpose(flipped) if flips.transpose else flipped, [*planes])


def flipped_planes(planes: Pixels, flips: Flips) -> Pixels:
    """Return flipped planes: a view of the same shape.

    Args:
        planes: uint8 (..., s, s).
        flips: Flips to apply.
    """
    planes = planes[..., ::-1] if flips.horizontal else planes
    planes = planes[..., ::-1, :] if flips.vertical else planes
    return planes.swapaxes(-1, -2) if flips.transpose else planes


def flipped_flow(flow: Flow, flips: Flips) -> Flow:
    """Return flows flipped as their frames are, vectors included: float32 (t, 2, s, s), contiguous.

    Args:
        flow: float32 (t, s, s, 2), x before y.
        flips: Flips to apply.
    """
    if flips.horizontal:
        flow = flow[:, :, ::-1] * _vector(-1, 1)
    if flips.vertical:
        flow = flow[:, ::-1] * _vector(1, -1)
    if flips.transpose:
        flow = flow.transpose(0, 2, 1, 3)[..., ::-1]
    return np.ascontiguousarray(flow.transpose(0, 3, 1, 2))


def _vector(x: float, y: float) -> Flow:
    return np.array([x, y], np.float32)

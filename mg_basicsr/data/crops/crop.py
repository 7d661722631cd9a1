"""Crops and flips: where they fall, drawn from a sample's generator, and what they do to frames and flows.

BasicSR's `paired_random_crop` and `augment`, as pure functions on uint8. They draw the same random numbers in the same
order, so a generator of equal seed gives an equal sample.
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
    """A crop: top and left corner and edge, in pixels of the frame that it is cut from.

    It is square, and `size` high, unless `columns` gives another width. Only square crops can be flipped.
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
        """The window on GT that shows what this one shows on LQ."""
        return Window(self.top * scale, self.left * scale, self.size * scale, self.columns * scale)

    def cut(self, image: Pixels) -> Pixels:
        """View of the window, (size, width, ...), of an image of shape (h, w, ...)."""
        return image[self.top : self.top + self.size, self.left : self.left + self.width]


class Flips(NamedTuple):
    """Changes applied in this order: left-right, top-bottom, rows to columns. Together the eight symmetries."""

    horizontal: bool = False
    vertical: bool = False
    transpose: bool = False

    @property
    def code(self) -> int:
        """The three as the bits of a number, the first lowest: 0 .. 7."""
        return self.horizontal + 2 * self.vertical + 4 * self.transpose

    @classmethod
    def from_code(cls, code: int) -> Flips:
        return cls(bool(code & 1), bool(code & 2), bool(code & 4))


def draw_window(rng: random.Random, height: int, width: int, size: int) -> Window:
    """A window of `size` anywhere in a frame of height x width, every position alike; size <= min(height, width)."""
    return Window(rng.randint(0, height - size), rng.randint(0, width - size), size)


def draw_flips(rng: random.Random, use_hflip: bool, use_rot: bool) -> Flips:
    """Each change for half of the samples; what is switched off draws no number."""
    horizontal = use_hflip and rng.random() < 0.5
    vertical = use_rot and rng.random() < 0.5
    return Flips(horizontal, vertical, use_rot and rng.random() < 0.5)


def split_planes(image: Pixels, flips: Flips, planes: Pixels) -> None:
    """Writes an image (h, w, 3), flipped, to its three planes (3, h, w), each contiguous.

    OpenCV does it in a third of the time of strided copies by NumPy.
    """
    # OpenCV's codes: 1 left-right, 0 top-bottom, -1 both
    code = {(True, False): 1, (False, True): 0, (True, True): -1}.get((flips.horizontal, flips.vertical))
    flipped = image if code is None else cv2.flip(image, code)
    cv2.split(cv2.transpose(flipped) if flips.transpose else flipped, [*planes])


def flipped_planes(planes: Pixels, flips: Flips) -> Pixels:
    """Planes (..., s, s), flipped; a view."""
    planes = planes[..., ::-1] if flips.horizontal else planes
    planes = planes[..., ::-1, :] if flips.vertical else planes
    return planes.swapaxes(-1, -2) if flips.transpose else planes


def flipped_flow(flow: Flow, flips: Flips) -> Flow:
    """Flows (t, s, s, 2), x before y, flipped as the frames are, vectors included: (t, 2, s, s), contiguous."""
    if flips.horizontal:
        flow = flow[:, :, ::-1] * _vector(-1, 1)
    if flips.vertical:
        flow = flow[:, ::-1] * _vector(1, -1)
    if flips.transpose:
        flow = flow.transpose(0, 2, 1, 3)[..., ::-1]
    return np.ascontiguousarray(flow.transpose(0, 3, 1, 2))


def _vector(x: float, y: float) -> Flow:
    return np.array([x, y], np.float32)

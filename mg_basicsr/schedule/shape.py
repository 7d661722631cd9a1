"""Shapes of mini-batches, and their rounding to sizes that a network accepts.

>>> BatchShape(clips=8, frames=15, size=256).pixels
7864320
>>> round_size(0.5 * 256, full=256, scale=4, multiple=4, minimum=32)
128
>>> round_size(0.7 * 256, full=256, scale=4, multiple=8, minimum=32)  # LQ 44.75 -> 40
160
>>> round_frames(fraction_of(0.75, 14), full=14, minimum=6, mirrored=True)
10
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

T = TypeVar('T')


@dataclass(frozen=True, slots=True)
class BatchShape:
    """Shape of the mini-batch of one optimiser step.

    Attributes:
        clips: Clips of all ranks and micro-batches together.
        frames: Frames per clip as the network sees them (mirrored clips: both halves).
        size: Edge of the square GT crop in pixels.
    """

    clips: int
    frames: int
    size: int

    @property
    def pixels(self) -> int:
        """GT pixels of the mini-batch; the cost of a step is assumed to be proportional to it."""
        return self.clips * self.frames * self.size**2


def exact_fraction_of(fraction: float, full: int) -> Fraction:
    """Return `fraction * full` without rounding.

    The fraction is taken as the decimal number that was written (0.58 of 50 is 29, though 0.58 * 50 < 29 in binary).

    Args:
        fraction: Fraction of the full value, > 0.
        full: Frames or pixels of the full shape.
    """
    return Fraction(str(fraction)) * full


def fraction_of(fraction: float, full: int, nearest: bool = False) -> int:
    """Return `fraction * full`, rounded down, or to the nearest whole number with ties to even.

    >>> fraction_of(0.25, 15), fraction_of(0.25, 15, nearest=True), fraction_of(0.5, 5, nearest=True)
    (3, 4, 2)

    Args:
        fraction: Fraction of the full value, > 0.
        full: Frames or pixels of the full shape.
        nearest: Whether to round to the nearest; else down.
    """
    exact = exact_fraction_of(fraction, full)
    return round(exact) if nearest else int(exact)


def round_size(gt_size: float, full: int, scale: int, multiple: int, minimum: int) -> int:
    """Return the GT size of a stage, rounded down to LQ sizes that the network takes, in pixels.

    Args:
        gt_size: Wanted size in GT pixels.
        full: The baseline's GT size; at or above it nothing is rounded.
        scale: GT size / LQ size.
        multiple: The LQ size becomes a multiple of this (window size or pyramid of the network).
        minimum: Smallest LQ size, itself rounded up to a multiple; capped at the baseline's.
    """
    if gt_size >= full:  # the baseline's size, which is known to work, or one that the user wants above it
        return int(gt_size)
    lq_size = int(gt_size) // scale // multiple * multiple
    smallest = -(-minimum // multiple) * multiple
    return min(max(lq_size, smallest) * scale, full)


def round_frames(frames: int, full: int, minimum: int, mirrored: bool) -> int:
    """Return the frames of a stage as the network sees them.

    Args:
        frames: Wanted frames.
        full: The baseline's frames; at or above it nothing is rounded.
        minimum: Fewest frames; capped at the baseline's.
        mirrored: Each clip is followed by its reverse, so the number is made even.
    """
    if frames >= full:
        return frames
    frames = min(max(frames, minimum), full)
    return frames + frames % 2 if mirrored else frames  # up, so as not to fall below the minimum


def distinct(values: Sequence[T]) -> list[T]:
    """Return the values without equal neighbours (rounding can make two stages the same)."""
    return [value for i, value in enumerate(values) if i == 0 or value != values[i - 1]]

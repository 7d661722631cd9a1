"""Shapes of mini-batches, and the rounding that turns a fraction of the full shape into one a network takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

T = TypeVar('T')


@dataclass(frozen=True, slots=True)
class BatchShape:
    """Clips x frames x height x width of one optimiser step.

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
        """GT pixels of the mini-batch; the cost of a step is taken to be in proportion."""
        return self.clips * self.frames * self.size**2


def fraction_of(fraction: float, full: int) -> int:
    """`fraction * full`, rounded down.

    The fraction is taken as the decimal number that was written (0.58 of 50 is 29, though 0.58 * 50 < 29 in binary).
    """
    return int(Fraction(str(fraction)) * full)


def round_size(gt_size: float, full: int, scale: int, multiple: int, minimum: int) -> int:
    """GT size of a stage: rounded down so that its LQ size is a multiple of `multiple`, and not below `minimum`.

    Args:
        gt_size: Wanted size in GT pixels.
        full: The baseline's GT size; at or above it nothing is rounded.
        scale: GT size / LQ size.
        multiple: The LQ size becomes a multiple of this (window or pyramid of the network).
        minimum: Smallest LQ size, itself rounded up to a multiple; capped at the baseline's.
    """
    if gt_size >= full:
        return int(gt_size)
    lq_size = int(gt_size) // scale // multiple * multiple
    smallest = -(-minimum // multiple) * multiple
    return min(max(lq_size, smallest) * scale, full)


def round_frames(frames: int, full: int, minimum: int, mirrored: bool) -> int:
    """Frames of a stage as the network sees them: not below `minimum` (capped at the baseline's), even if mirrored."""
    if frames >= full:
        return frames
    frames = min(max(frames, minimum), full)
    return frames + frames % 2 if mirrored else frames


def distinct(values: Sequence[T]) -> list[T]:
    """The values without equal neighbours (rounding can make two stages the same)."""
    return [value for i, value in enumerate(values) if i == 0 or value != values[i - 1]]

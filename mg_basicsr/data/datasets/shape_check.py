"""Check whether a sequence can give clips of a shape, from its length and frame size alone."""

from __future__ import annotations

from typing import NamedTuple

from mg_basicsr.data.listing.sequences import FrameSequence
from mg_basicsr.errors import Problem
from mg_basicsr.train_set import BLOCK


class ClipShape(NamedTuple):
    """Shape of clips, and the length of sequences that can give them.

    Attributes:
        frames: Frames as the network sees them.
        needed: Frames that a sequence must have for that.
        gt_size: Edge of the GT crop in pixels.
    """

    frames: int
    needed: int
    gt_size: int


def misfit(sequence: FrameSequence, shape: ClipShape, scale: int, listed_in: str) -> Problem | None:
    """Return the problem of a sequence that is too short or whose frames are too small, or None.

    Args:
        sequence: The sequence, its size known.
        shape: The clips that are wanted.
        scale: GT pixels per LQ pixel and axis.
        listed_in: File or folder that names the sequence, for the message.
    """
    smaller = min(sequence.height, sequence.width)
    long_enough = sequence.frames >= shape.needed
    divisible = sequence.height % scale == 0 == sequence.width % scale
    if long_enough and divisible and shape.gt_size <= smaller:
        return None
    what = f'{sequence.name} has'
    size = f'GT frames of {sequence.height}x{sequence.width} pixels'
    remove = f'or remove it from {BLOCK}.meta_info_file'
    if not long_enough:
        return Problem(
            listed_in,
            f'{what} {sequence.frames} frames, too short for clips of {shape.frames}',
            f'allowed: at least {shape.needed} frames',
            f'ask for fewer frames, {remove}',
        )
    if not divisible:
        return Problem(
            listed_in,
            f'{what} {size}, not divisible by scale: {scale}',
            f'allowed: GT frames {scale} times as high and wide as the LQ frames',
            f'crop its frames, {remove}',
        )
    return Problem(
        listed_in,
        f'{what} {size}, smaller than crops of {shape.gt_size}',
        f'allowed: crops of at most {smaller}',
        f'lower {BLOCK}.gt_size, {remove}',
    )

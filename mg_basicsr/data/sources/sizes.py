"""Sizes of GT and LQ frames that do not fit each other: exchanged sides, another scale, a list of another set."""

from __future__ import annotations

from typing import NamedTuple

from mg_basicsr.errors import Problem
from mg_basicsr.train_set import BLOCK

Size = tuple[int, int]  # height and width in pixels


class Sizes(NamedTuple):
    """Sizes of a clip's frames.

    Attributes:
        gt: Of a GT frame.
        lq: Of an LQ frame.
        listed: Of GT in the list; None where it has none.
    """

    gt: Size
    lq: Size
    listed: Size | None = None


def misfit(sizes: Sizes, scale: int, name: str) -> Problem | None:
    """Return the problem of sizes that do not fit, with its likely cause; None if they do.

    Args:
        sizes: The sizes.
        scale: GT pixels per LQ pixel and axis.
        name: Name of the clip.
    """
    gt, lq, listed = sizes
    shown = f'clip {name}: GT frames are {_shown(gt)} pixels (height x width), LQ frames {_shown(lq)}'
    allowed = f'allowed: GT frames {scale} times as high and wide as the LQ frames (scale: {scale})'
    if _fits(gt, lq, scale):
        if listed is None or listed == gt:
            return None
        what = f'clip {name}: GT frames are {_shown(gt)} pixels (height x width), and {_shown(listed)} in the list'
        cause = _of_the_list(sizes)
        return Problem(
            f'{BLOCK}.meta_info_file', f'{what}{cause}', 'allowed: the size of the GT frames', 'correct the list'
        )
    if _fits(lq, gt, scale):
        remedy = f'exchange {BLOCK}.dataroot_gt and {BLOCK}.dataroot_lq'
        return Problem(f'{BLOCK}.dataroot_gt', f'{shown}: they are exchanged', allowed, remedy)
    if gt == lq:
        what = f'{shown}: both are GT, or LQ was enlarged to it'
        return Problem(f'{BLOCK}.dataroot_lq', what, allowed, f'set {BLOCK}.dataroot_lq to frames that are smaller')
    other = gt[0] // lq[0]
    if other > 1 and _fits(gt, lq, other):
        remedy = f'set {BLOCK}.dataroot_lq to the frames of scale {scale}, or scale: {other} (and that of the network)'
        return Problem('scale', f'{scale}, but {shown}: their scale is {other}', allowed, remedy)
    remedy = f'check {BLOCK}.dataroot_gt and {BLOCK}.dataroot_lq: are they of one set?'
    return Problem(f'{BLOCK}.dataroot_lq', shown, allowed, remedy)


def _fits(large: Size, small: Size, scale: int) -> bool:
    return (large[0] // scale, large[1] // scale) == small


def _of_the_list(sizes: Sizes) -> str:
    if sizes.listed == sizes.lq:
        return ', which is that of LQ'
    return ', which has width and height exchanged' if sizes.listed == sizes.gt[::-1] else ''


def _shown(size: Size) -> str:
    return f'{size[0]}x{size[1]}'

"""Crops of larger spans: GT is resampled to the crop, and LQ made from it by the set's known degradation."""

from __future__ import annotations

import random
from collections.abc import Sequence

import cv2
import numpy as np

from mg_basicsr.data.crops.crop import Flips, Pixels, Window
from mg_basicsr.data.crops.degradation import BD_SIGMA, BD_WIDTH
from mg_basicsr.data.crops.resample import Axis, cubic, filtered, resample, resampling
from mg_basicsr.data.listing.sequences import FrameSequence
from mg_basicsr.data.sources.frame_source import FrameSource


def draw_span(rng: random.Random, frame: tuple[int, int], size: int, most: int, scale: int) -> int:
    """Draw the GT span of a crop in pixels.

    Uniform on size, size + scale, ... up to `most`, or to the frame's smaller edge if that is less.

    Args:
        rng: The sample's random numbers; none is drawn where `most` <= `size`.
        frame: Height and width of a GT frame in pixels.
        size: Edge of the GT crop in pixels, a multiple of the scale.
        most: Largest span in pixels.
        scale: GT pixels per LQ pixel and axis.
    """
    if most <= size:
        return size
    return size + scale * rng.randint(0, (min(most, *frame) - size) // scale)


def degrading(degradation: str, scale: int, size: int) -> tuple[int, Axis]:
    """Return the axis that degrades a GT crop with a margin to an LQ crop, and that margin in GT pixels.

    Args:
        degradation: 'bicubic' (BasicSR's imresize) or 'bd' (the Gaussian of `degradation.bd` at every 4th pixel).
        scale: GT pixels per LQ pixel; 4 for bd.
        size: Edge of the GT crop without its margin in pixels.
    """
    margin = 2 * scale  # as far as the kernels reach: bicubic 2 * scale pixels, bd 6 at scale 4
    firsts = margin + scale * np.arange(size // scale, dtype=np.float64)
    length = size + 2 * margin
    if degradation == 'bd':
        kernel = cv2.getGaussianKernel(BD_WIDTH, BD_SIGMA)[:, 0]
        half = BD_WIDTH // 2
        return margin, filtered(firsts, half, lambda distance: kernel[np.rint(distance).astype(int) + half], length)
    centers = firsts + (scale - 1) / 2
    return margin, filtered(centers, 2 * scale, lambda distance: cubic(distance / scale), length)


def read_span(
    source: FrameSource, sequence: FrameSequence, frames: Sequence[int], span: Window, size: int, scale: int, how: str
) -> tuple[Pixels, Pixels]:
    """Read a span of GT, resample it to a crop, and degrade that to the LQ crop.

    Pixels around the span are read as well, so that the crops' borders equal those of whole frames that were resampled
    and degraded. The frame is continued beyond its edges by its mirror image.

    Args:
        source: Reads GT.
        sequence: The sequence.
        frames: Frames of the clip, from 0.
        span: Place of the span in GT pixels.
        size: Edge of the GT crop in pixels, a multiple of the scale.
        scale: GT pixels per LQ pixel and axis.
        how: Degradation, 'bicubic' or 'bd'.

    Returns:
        LQ, uint8 (t, 3, size / scale, size / scale), and GT, uint8 (t, 3, size, size).

    Raises:
        DataError: a frame is missing or damaged.
    """
    margin, degrade = degrading(how, scale, size)
    rows = resampling(span.top, span.size, size, margin, sequence.height)
    columns = resampling(span.left, span.size, size, margin, sequence.width)
    area = Window(rows.first, columns.first, rows.reads, columns.reads)
    pixels = np.empty((len(frames), 3, area.size, area.width), np.uint8)
    source.read_gt(sequence, frames, area, Flips(), pixels)
    wide = resample(pixels.reshape(-1, area.size, area.width), rows, columns)
    used, inside = slice(degrade.first, degrade.first + degrade.reads), slice(margin, margin + size)
    lq = resample(wide[:, used, used], degrade, degrade)
    return lq.reshape(len(frames), 3, *lq.shape[1:]), wide[:, inside, inside].reshape(len(frames), 3, size, size)

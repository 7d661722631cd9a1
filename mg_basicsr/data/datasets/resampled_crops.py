"""Crops that show a larger span: GT is resampled to the crop, and LQ made from that by the set's known degradation."""

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
    """Random GT span of a crop in pixels.

    Uniform on size, size + scale, ... up to `most`, or to the frame's smaller edge where that is less. Where `most` is
    not above the crop's size no number is drawn.
    """
    if most <= size:
        return size
    return size + scale * rng.randint(0, (min(most, *frame) - size) // scale)


def degrading(degradation: str, scale: int, size: int) -> tuple[int, Axis]:
    """The axis from GT samples with a margin to the LQ samples of a crop, and that margin in GT samples.

    bicubic: BasicSR's imresize. bd: the Gaussian of data/crops/degradation at every 4th pixel, from the first.
    """
    margin = 2 * scale
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
    """LQ and GT of a span resampled to a crop: uint8 (t, 3, size / scale, size / scale) and (t, 3, size, size).

    Pixels around the span are read as well, so that the crops' borders are as those of whole frames that were resampled
    and degraded. Beyond the frame's edges lies its mirror image.

    Args:
        source: Where GT is.
        sequence, frames: The clip.
        span: Where the span lies in GT pixels.
        size: Edge of the GT crop in pixels, a multiple of the scale.
        scale: GT pixels per LQ pixel and axis.
        how: 'bicubic' or 'bd'.

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

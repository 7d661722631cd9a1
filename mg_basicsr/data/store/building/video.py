"""Decoding of videos, detection of their shots, and division of shots into clips."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import NamedTuple, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from mg_basicsr.data.crops.crop import Pixels
from mg_basicsr.errors import DataError, Problem

THUMBNAIL = (64, 36)  # width and height at which frames are compared
LEVELS = 4  # of each channel in the histogram of colours
NEIGHBOURS = 8  # changes to each side that a change is compared with

# A cut changes pixels far more than the motion around it, and the colours of the frame too. Motion that sets in does
# only the first, fast motion or a change of light only the second. In 30 seconds of animation (Big Buck Bunny) cuts
# changed pixels by 77 to 99, which is 197 to 370 times the median, and colours by 0.6 to 0.8. Other changes reached 18,
# 14 times and 0.3, but no other change passed all three thresholds.
LEAST_CHANGE = 8.0  # mean difference of pixels, 0..255
LEAST_RATIO = 4.0  # to the median of the neighbours
LEAST_COLOURS = 0.15  # share of pixels that change their bin of the histogram

# Dark pictures, and a picture and its mirror image, have the same colours. There a cut is a change as large as the
# contrast of the pictures, between two that are unlike wherever one is moved. Cuts between the shots above at 15 % of
# their brightness, and to their mirror images, changed pixels by 0.8 to 1.3 times the contrast, at a likeness of 0.3 to
# 0.55 (0.9 for pictures without detail). Other changes reached 0.41 times, but for the first frames of a fade, whose
# likeness was 0.95; pans and jolts have one of 1.
LEAST_CONTRAST = 2.0  # standard deviation of grey, 0..255, of pictures that can be compared
LEAST_RELATIVE = 0.6  # mean difference of pixels to the contrast
MOST_LIKENESS = 0.9
LEAST_OVERLAP = 0.5  # share of the picture, where one is moved over the other

FEWEST_LOST, SHARE_LOST = 2, 0.01  # frames in the header that cannot be decoded, up to which a video counts as whole


class Video(NamedTuple):
    """Size and shots of a video.

    Attributes:
        frames: Number of frames.
        height: In pixels.
        width: In pixels.
        shots: First frame of each shot, from 0, ascending.
        told: Number of frames in the header of its container, which may be an estimate; 0 if there is none.
    """

    frames: int
    height: int
    width: int
    shots: tuple[int, ...]
    told: int = 0


class Thumbnail(NamedTuple):
    """Reduced frame, by which frames are compared.

    Attributes:
        pixels: float32 (36, 64, 3), 0..255.
        colours: float32 (64), the share of pixels in each bin of the histogram of colours.
    """

    pixels: NDArray[np.float32]
    colours: NDArray[np.float32]


class Change(NamedTuple):
    """Change between two neighbouring frames.

    Attributes:
        pixels: Mean difference of pixels, 0..255.
        colours: Share of pixels whose colour changed, 0..1.
        relative: Mean difference to the contrast of the frames; 0 where they have next to none.
        likeness: Largest correlation of the frames over all shifts, up to 1; found only for large relative changes.
    """

    pixels: float
    colours: float
    relative: float = 0.0
    likeness: float = 1.0


def read_video(path: str, first: int = 0) -> Iterator[Pixels]:
    """Yield the frames of a video in order: uint8 (h, w, 3), BGR, of one size.

    Frames before `first` are decoded too, since seeking is not exact in all kinds of files.

    Args:
        path: The file.
        first: First frame to yield, from 0.

    Raises:
        DataError: the video cannot be opened or decoded, or the size of its frames changes.
    """
    capture = cv2.VideoCapture(path)
    try:
        shape = None
        for _ in range(first):
            capture.grab()
        while True:
            found, frame = capture.read()
            if not found:
                break
            shape = shape or frame.shape
            if frame.shape != shape:
                what = f'has frames of {shape[:2]} and of {frame.shape[:2]}'
                raise DataError(_problem(path, what, 'frames of one size'))
            yield cast(Pixels, frame)
    finally:
        capture.release()
    if shape is None:
        raise DataError(_problem(path, 'has no frame that can be decoded', 'a video that OpenCV can decode'))


def inspect(path: str, progress: Callable[[int], None] | None = None) -> Video:
    """Decode a video once and find its shots.

    Args:
        path: The file.
        progress: Called with the number of frames decoded so far.

    Raises:
        DataError: see `read_video`.
    """
    changes: list[Change] = []
    before: Thumbnail | None = None
    height = width = 0
    for number, frame in enumerate(read_video(path), 1):
        height, width = frame.shape[:2]
        now = thumbnail(frame)
        if before is not None:
            changes.append(change(before, now))
        before = now
        if progress:
            progress(number)
    return Video(len(changes) + 1, height, width, (0, *cuts(changes)), _told(path))


def broken_off(video: Video) -> bool:
    """Return whether far fewer frames were decoded than the header says, which is an estimate in some containers."""
    return video.told - video.frames > max(FEWEST_LOST, video.told * SHARE_LOST)


def _told(path: str) -> int:
    capture = cv2.VideoCapture(path)
    try:
        return max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
    finally:
        capture.release()


def thumbnail(frame: Pixels) -> Thumbnail:
    """Return the thumbnail of a frame, uint8 (h, w, 3)."""
    small = cv2.resize(frame, THUMBNAIL, interpolation=cv2.INTER_AREA)
    colours = cv2.calcHist([small], [0, 1, 2], None, [LEVELS] * 3, [0, 256] * 3).ravel() / (small.size / 3)
    return Thumbnail(small.astype(np.float32), colours.astype(np.float32))


def change(before: Thumbnail, after: Thumbnail) -> Change:
    """Measure the change between two frames.

    Args:
        before: Thumbnail of a frame.
        after: Thumbnail of the next frame.
    """
    pixels = float(np.abs(after.pixels - before.pixels).mean())
    colours = 1 - float(np.minimum(after.colours, before.colours).sum())
    greys = [thumb.pixels.mean(axis=2) for thumb in (before, after)]
    contrasts = [float(grey.std()) for grey in greys]
    relative = 2 * pixels / sum(contrasts) if min(contrasts) >= LEAST_CONTRAST else 0.0
    return Change(pixels, colours, relative, likeness(*greys) if relative >= LEAST_RELATIVE else 1.0)


def likeness(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Return the largest correlation of two pictures over all shifts of one, where they overlap.

    Args:
        one: float32 (h, w).
        other: float32 (h, w).
    """
    size = tuple(2 * edge for edge in one.shape)

    def over_shifts(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float64]:
        product = np.fft.rfft2(first, size).conj() * np.fft.rfft2(second, size)
        return np.fft.irfft2(product, size)

    one, other, all_of_it = one - one.mean(), other - other.mean(), np.ones_like(one)
    energy = over_shifts(one**2, all_of_it) * over_shifts(all_of_it, other**2)
    correlation = over_shifts(one, other) / np.sqrt(np.maximum(energy, 1e-3))
    enough = over_shifts(all_of_it, all_of_it) > LEAST_OVERLAP * one.size
    return float(correlation[enough].max())


def cuts(changes: list[Change]) -> list[int]:
    """Return the first frames of new shots, from the `change` of every two neighbouring frames."""
    found = []
    for at, now in enumerate(changes):
        around = changes[max(0, at - NEIGHBOURS) : at] + changes[at + 1 : at + 1 + NEIGHBOURS]
        usual = LEAST_RATIO * float(np.median([other.pixels for other in around])) if around else 0.0
        other_colours = now.pixels >= LEAST_CHANGE and now.colours >= LEAST_COLOURS
        other_picture = now.relative >= LEAST_RELATIVE and now.likeness <= MOST_LIKENESS
        if now.pixels >= usual and (other_colours or other_picture):
            found.append(at + 1)
    return found


def split(video: Video, length: int) -> list[int]:
    """Divide shots into clips, one after another; the frames that remain at the end of a shot are not used.

    Args:
        video: Size and shots of the video.
        length: Frames of each clip, >= 1.

    Returns:
        First frame of each clip, ascending.
    """
    ends = (*video.shots[1:], video.frames)
    return [
        first for start, end in zip(video.shots, ends, strict=True) for first in range(start, end - length + 1, length)
    ]


def _problem(path: str, wrong: str, allowed: str) -> Problem:
    if not os.path.isfile(path):
        wrong = 'does not exist'
    return Problem('--gt', f'video {path} {wrong}', f'allowed: {allowed}', 'convert it, or leave it out')

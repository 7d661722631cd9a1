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
    changes: list[tuple[float, float]] = []
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


def change(before: Thumbnail, after: Thumbnail) -> tuple[float, float]:
    """Measure the change between two frames.

    Args:
        before: Thumbnail of a frame.
        after: Thumbnail of the next frame.

    Returns:
        Mean difference of pixels, 0..255, and share of pixels whose colour changed, 0..1.
    """
    pixels = float(np.abs(after.pixels - before.pixels).mean())
    return pixels, 1 - float(np.minimum(after.colours, before.colours).sum())


def cuts(changes: list[tuple[float, float]]) -> list[int]:
    """Return the first frames of new shots, from the `change` of every two neighbouring frames."""
    found = []
    for at, (pixels, colours) in enumerate(changes):
        around = changes[max(0, at - NEIGHBOURS) : at] + changes[at + 1 : at + 1 + NEIGHBOURS]
        usual = float(np.median([other for other, _ in around])) if around else 0.0
        if pixels >= max(LEAST_CHANGE, LEAST_RATIO * usual) and colours >= LEAST_COLOURS:
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

"""Difficulty of the regions of clips: the error of bicubic upscaling, noted beside a store for samplers that want it.

`difficulty.jsonl` changes nothing that the store's readers use. It is made from the stored pixels, from some frames of
each clip, so that it can be added to a store at any time.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from mg_basicsr.atomic_files import append_line
from mg_basicsr.data.crops.crop import Flips, Pixels, Window
from mg_basicsr.data.listing.sequences import FrameSequence
from mg_basicsr.data.store.clip_file import read_file
from mg_basicsr.data.store.format import Clip
from mg_basicsr.data.store.layout import CHANNELS
from mg_basicsr.data.store.reader import StoreFrames

DIFFICULTY = 'difficulty.jsonl'
REGION = 64  # GT pixels
EVERY = 10  # frames
MOST_LINE_BYTES = 1 << 22


class Difficulty(NamedTuple):
    """Difficulty of the regions of a clip.

    Attributes:
        region: Edge of a region in GT pixels; those at the right and lower edges are what is left.
        errors: float32 (rows, columns): root of the mean squared error of bicubic upscaling, 0..255.
    """

    region: int
    errors: NDArray[np.float32]

    def of(self, window: Window) -> float:
        """Return the difficulty of a crop: the root of the mean square of the regions that it overlaps.

        Args:
            window: The crop in GT pixels, inside the frame.
        """
        bottom, right = window.top + window.size, window.left + window.width
        rows = slice(window.top // self.region, -(-bottom // self.region))
        columns = slice(window.left // self.region, -(-right // self.region))
        return float(np.sqrt(np.mean(np.square(self.errors[rows, columns]))))


def read_difficulty(root: str | Path) -> dict[str, Difficulty]:
    """Return what is noted of the clips of a store, by name. Damaged lines note nothing, later ones hold.

    Args:
        root: Folder of the store.
    """
    return {name: difficulty for name, (_, difficulty) in _lines(Path(root)).items()}


def note_difficulty(root: Path, progress: Callable[[int, int], None] | None = None) -> None:
    """Note the difficulty of all clips of a store of which it is not noted yet. It can be killed, and continues.

    Args:
        root: Folder of the store.
        progress: Called with (clips done, clips) after each.

    Raises:
        DataError: a clip is missing or damaged.
        OSError: the file cannot be written.
    """
    store, noted = StoreFrames(root), _lines(root)
    clips = list(store.clips)
    for done, clip in enumerate(clips, 1):
        if noted.get(clip.name, ('',))[0] != clip.sha256:
            errors = measure(store, clip)
            line = {'name': clip.name, 'sha256': clip.sha256, 'region': REGION, 'every': EVERY, 'errors': errors}
            append_line(root / DIFFICULTY, json.dumps(line, ensure_ascii=False) + '\n')
        if progress:
            progress(done, len(clips))


def measure(store: StoreFrames, clip: Clip) -> list[list[float]]:
    """Return the errors of the regions of a clip, over every 10th frame from the middle of the first 10 on.

    Args:
        store: The store.
        clip: One of its clips.
    """
    sequence, scale = clip.sequence, store.header.scale
    with_gt = clip.geometry.with_gt
    frames = with_gt[min(EVERY // 2, len(with_gt) - 1) :: EVERY]
    squares = np.zeros((sequence.height, sequence.width), np.float32)
    for frame in frames:
        planes = _whole(store.read_gt, sequence, frame, 1), _whole(store.read_lq, sequence, frame, scale)
        for gt, lq in zip(*planes, strict=True):
            upscaled = cv2.resize(lq, (sequence.width, sequence.height), interpolation=cv2.INTER_CUBIC)
            cv2.accumulateSquare(cv2.absdiff(gt, upscaled), squares)
    found = np.sqrt(_means(squares.astype(np.float64)) / (CHANNELS * len(frames)))
    return [[round(float(value), 2) for value in row] for row in found]


def _whole(read: Callable[..., None], sequence: FrameSequence, frame: int, scale: int) -> Pixels:
    """Return the planes of a frame."""
    height, width = sequence.height // scale, sequence.width // scale
    planes = np.empty((1, CHANNELS, height, width), np.uint8)
    read(sequence, [frame], Window(0, 0, height, width), Flips(), planes)
    return cast(Pixels, planes[0])


def _means(squares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the means of the regions of a frame, (h, w)."""
    rows, columns = (np.arange(0, edge, REGION) for edge in squares.shape)
    sums = np.add.reduceat(np.add.reduceat(squares, rows, axis=0), columns, axis=1)
    heights, widths = (np.diff([*starts, edge]) for starts, edge in zip((rows, columns), squares.shape, strict=True))
    return np.asarray(sums / np.outer(heights, widths))


def _lines(root: Path) -> dict[str, tuple[str, Difficulty]]:
    try:
        lines = read_file(root, root / DIFFICULTY).split(b'\n')[:-1]
    except (OSError, ValueError):
        return {}
    found = {}
    for line in lines:
        try:
            values: Any = json.loads(line) if len(line) <= MOST_LINE_BYTES else None
            errors = np.array(values['errors'], np.float32)
            region = values['region']
            if errors.ndim == 2 and errors.size and np.isfinite(errors).all() and type(region) is int and region > 0:
                found[str(values['name'])] = str(values['sha256']), Difficulty(region, errors)
        except (ValueError, TypeError, KeyError, RecursionError):  # damaged: as if it were not there
            continue
    return found

"""What reading raw and compressed clips has in common."""

from __future__ import annotations

import mmap
import os
import resource
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mg_basicsr.data.crops.crop import Pixels

PAGE = mmap.ALLOCATIONGRANULARITY
COLD_SECONDS = 10
OWN = getattr(resource, 'RUSAGE_THREAD', resource.RUSAGE_SELF)
MADV_RANDOM = getattr(mmap, 'MADV_RANDOM', None)  # systems without it read as they like
MADV_WILLNEED = getattr(mmap, 'MADV_WILLNEED', None)


class Run(NamedTuple):
    """Frames first, first + step, ...: `frames` of them, each >= 0. The step may be negative, but not 0."""

    first: int
    step: int
    frames: int


class Target(NamedTuple):
    """Where a crop goes: contiguous planes (t, 3, size, width), and whether upside down."""

    planes: Pixels
    upside_down: bool


def open_map(path: Path, size: int) -> mmap.mmap:
    """The file under a memory map, for reads at random places.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is not of this size.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        found = os.fstat(descriptor).st_size
        if found != size:
            raise ValueError(f'has {found} bytes')
        mapped = mmap.mmap(descriptor, size, prot=mmap.PROT_READ)
    finally:
        os.close(descriptor)
    if MADV_RANDOM is not None:
        mapped.madvise(MADV_RANDOM)  # otherwise each page brings its neighbours, most of which no crop needs
    return mapped


class ColdCache:
    """Whether pages of files have to be waited for.

    Then a reader announces the ranges that it is going to copy, which makes reading from a disk several times as fast.
    It costs a quarter of the time of a small crop where all pages are in memory, so it is done only for some seconds
    after a page was not. What is read is the same.
    """

    def __init__(self) -> None:
        self._until = 0.0
        self._faults = 0

    def __enter__(self) -> bool:
        """True if ranges are to be announced."""
        self._faults = _faults()
        return time.monotonic() < self._until

    def __exit__(self, *error: object) -> None:
        if _faults() > self._faults:
            self._until = time.monotonic() + COLD_SECONDS


def _faults() -> int:
    """Pages that this thread had to wait for until they were read from disk."""
    return resource.getrusage(OWN).ru_majflt


def announce(mapped: mmap.mmap, offset: int, length: int) -> None:
    """Asks the system to start reading a range. Readers announce all of theirs before they wait for the first."""
    if MADV_WILLNEED is not None:
        start = offset - offset % PAGE
        mapped.madvise(MADV_WILLNEED, start, offset + length - start)


def copy_rows(source: Any, offset: int, strides: tuple[int, int, int], target: Pixels, left: int, width: int) -> None:
    """Copies rows of pixels from a buffer into columns left .. left + width - 1 of an array.

    Rows are copied as items of their length: NumPy then makes one copy per row and nothing else.

    Args:
        source: The buffer.
        offset: Its first byte to copy.
        strides: Bytes between rows along the first three axes of the target, in the buffer.
        target: Four axes, the last one contiguous.
        left: First column in the target.
        width: Bytes of a row.
    """
    item = row_item(width)
    shape = target.shape[:3]
    rows = np.ndarray(shape, item, source, offset, strides)
    if target.flags.c_contiguous:
        np.ndarray(shape, item, target, left, target.strides[:3])[...] = rows
    else:
        target[..., left : left + width].view(item)[..., 0] = rows


@lru_cache(maxsize=1024)
def row_item(size: int) -> np.dtype[np.void]:
    """The type of a row of pixels that is copied in one piece."""
    return np.dtype(f'V{size}')


def runs(frames: Sequence[int]) -> list[tuple[int, Run]]:
    """Frames as evenly spaced runs, each with its position: one for everything that our datasets ask for."""
    step = frames[1] - frames[0] if len(frames) > 1 else 1
    if step and tuple(frames) == tuple(range(frames[0], frames[0] + step * len(frames), step)):
        return [(0, Run(frames[0], step, len(frames)))]
    return [(at, Run(frame, 1, 1)) for at, frame in enumerate(frames)]

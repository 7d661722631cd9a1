"""Memory-mapped files: opening, reading ahead from a cold disk, copying rows of pixels."""

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
from mg_basicsr.parsing.plain_files import open_plain_file

PAGE = mmap.ALLOCATIONGRANULARITY
COLD_SECONDS = 10
OWN = getattr(resource, 'RUSAGE_THREAD', resource.RUSAGE_SELF)
MADV_RANDOM = getattr(mmap, 'MADV_RANDOM', None)  # None on systems that take no such advice
MADV_WILLNEED = getattr(mmap, 'MADV_WILLNEED', None)


class Run(NamedTuple):
    """Evenly spaced frames first, first + step, ..., all >= 0.

    Attributes:
        first: First frame, from 0.
        step: Distance of neighbours; may be negative, not 0.
        frames: Number of frames.
    """

    first: int
    step: int
    frames: int


class Target(NamedTuple):
    """Memory for a crop.

    Attributes:
        planes: uint8 (t, 3, size, width), contiguous.
        upside_down: Write the lowest row first.
    """

    planes: Pixels
    upside_down: bool


def open_map(path: Path, size: int) -> mmap.mmap:
    """Map a file into memory, for reads at random places.

    Args:
        path: The file.
        size: Bytes that it must have.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is not of this size.
    """
    descriptor = open_plain_file(path)
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


def check_whole(mapped: mmap.mmap) -> None:
    """Check that a mapped file still has its bytes: reading those that were cut off would end the process (SIGBUS).

    Raises:
        ValueError: the file has become shorter.
    """
    size = mapped.size()
    if size < len(mapped):
        raise ValueError(f'has become shorter while it was in use: {size} bytes')


class ColdCache:
    """Detector of files that are not in the page cache; a context manager around each read.

    If they are not, the reader announces the byte ranges that it will copy, which makes reading from a disk several
    times as fast. If they are, that would cost a quarter of the time of a small crop, so ranges are announced only for
    some seconds after a page had to be read from disk. The pixels are the same either way.
    """

    def __init__(self) -> None:
        self._until = 0.0
        self._faults = 0

    def __enter__(self) -> bool:
        """Return whether to announce ranges."""
        self._faults = _faults()
        return time.monotonic() < self._until

    def __exit__(self, *error: object) -> None:
        if _faults() > self._faults:
            self._until = time.monotonic() + COLD_SECONDS


def _faults() -> int:
    """Return the number of pages that this thread has waited for while they were read from disk."""
    return resource.getrusage(OWN).ru_majflt


def announce(mapped: mmap.mmap, offset: int, length: int) -> None:
    """Ask the system to start reading a range. A reader announces all its ranges before it waits for the first.

    Args:
        mapped: Memory map of a file.
        offset: First byte of the range.
        length: Bytes of the range.
    """
    if MADV_WILLNEED is not None:
        start = offset - offset % PAGE
        mapped.madvise(MADV_WILLNEED, start, offset + length - start)


def copy_rows(source: Any, offset: int, strides: tuple[int, int, int], target: Pixels, left: int, width: int) -> None:
    """Copy rows of pixels from a buffer into columns left .. left + width - 1 of an array.

    Rows are copied as items of their length: NumPy then makes one copy per row and nothing else.

    Args:
        source: The buffer.
        offset: First byte to copy.
        strides: Bytes in the buffer between rows along the first three axes of the target.
        target: uint8 with four axes, the last one contiguous; overwritten.
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
    """Return the NumPy type of a row of `size` bytes, which is copied in one piece."""
    return np.dtype(f'V{size}')


def runs(frames: Sequence[int]) -> list[tuple[int, Run]]:
    """Divide frames into evenly spaced runs, each with its position. Our datasets' clips are one run."""
    step = frames[1] - frames[0] if len(frames) > 1 else 1
    if step and tuple(frames) == tuple(range(frames[0], frames[0] + step * len(frames), step)):
        return [(0, Run(frames[0], step, len(frames)))]
    return [(at, Run(frame, 1, 1)) for at, frame in enumerate(frames)]

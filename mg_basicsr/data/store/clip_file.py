"""Files of a store: opening, reading by position, reading ahead from a cold disk, copying rows of pixels.

A file that is cut short while it is in use is an error here. Under a memory map it would end the process (SIGBUS),
so files are mapped only for the compiled kernel, which catches that.
"""

from __future__ import annotations

import errno
import mmap
import os
import resource
import stat
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mg_basicsr.data.crops.crop import Pixels, Window
from mg_basicsr.data.store.layout import Side
from mg_basicsr.parsing.plain_files import open_at_once

COLD_READS = 32
SHORTER = 'has become shorter while it was in use: {} bytes'
OWN = getattr(resource, 'RUSAGE_THREAD', resource.RUSAGE_SELF)
MADV_RANDOM = getattr(mmap, 'MADV_RANDOM', None)  # None on systems that take no such advice


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

    @property
    def last(self) -> int:
        """Last frame, from 0."""
        return self.first + self.step * (self.frames - 1)


class CropRead(NamedTuple):
    """Crop of some frames that is to be read from a clip.

    Attributes:
        side: LQ or GT of the clip.
        run: The frames.
        window: The crop in pixels of the side.
        planes: Memory for it: uint8 (t, 3, size, width), contiguous; overwritten.
        upside_down: Write the lowest row first.
    """

    side: Side
    run: Run
    window: Window
    planes: Pixels
    upside_down: bool


def open_regular(root: Path, path: Path) -> int:
    """Open a file of a store for reading, and return its descriptor.

    Args:
        root: Folder of the store, which may be a link itself.
        path: The file.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is a link, a FIFO or something else, or reached over a link.
    """
    for folder in path.parents[: len(path.parts) - len(root.parts) - 1]:
        if stat.S_ISLNK(os.lstat(folder).st_mode):
            raise ValueError(f'is below a symbolic link, {folder}')
    try:
        descriptor, mode = open_at_once(path, links=False)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ValueError('is a symbolic link') from None
        raise
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise ValueError(f'is {_kind(mode)}')
    return descriptor


def _kind(mode: int) -> str:
    kinds = {stat.S_ISDIR: 'a folder', stat.S_ISFIFO: 'a FIFO', stat.S_ISSOCK: 'a socket'}
    return next((kind for test, kind in kinds.items() if test(mode)), 'a device')


def read_file(root: Path, path: Path, limit: int = -1) -> bytes:
    """Return the contents of a file of a store.

    Args:
        root: Folder of the store.
        path: The file.
        limit: Most bytes to read; all by default.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no regular file.
    """
    with os.fdopen(open_regular(root, path), 'rb') as file:
        return file.read(limit)


class ClipFile:
    """Open file of a clip, read by position. Closed with the object.

    Args:
        root: Folder of the store.
        path: The file.
        size: Bytes that it must have.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is not of this size, or no regular file.
    """

    def __init__(self, root: Path, path: Path, size: int) -> None:
        self._descriptor = -1
        self._descriptor = open_regular(root, path)
        self.size = size
        found = os.fstat(self._descriptor).st_size
        if found != size:
            raise ValueError(f'has {found} bytes')

    def __del__(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def map(self) -> mmap.mmap:
        """Map the file into memory, for reads at random places; the map outlives this object."""
        mapped = mmap.mmap(self._descriptor, self.size, prot=mmap.PROT_READ)
        if MADV_RANDOM is not None:
            mapped.madvise(MADV_RANDOM)  # otherwise each page brings its neighbours, most of which no crop needs
        return mapped

    def read(self, offset: int, length: int) -> bytes:
        """Return the bytes of a range.

        Args:
            offset: First byte of the range.
            length: Bytes of the range.

        Raises:
            ValueError: the file has become shorter, or the disk fails.
        """
        try:
            data = os.pread(self._descriptor, length, offset)
        except OSError as error:
            raise ValueError(f'cannot be read at byte {offset}: {error.strerror}') from None
        if len(data) < length:
            raise ValueError(SHORTER.format(os.fstat(self._descriptor).st_size))
        return data

    def announce(self, offset: int, length: int) -> None:
        """Ask the system to start reading a range. A reader announces all ranges before it waits for the first.

        Args:
            offset: First byte of the range.
            length: Bytes of the range.
        """
        if hasattr(os, 'posix_fadvise'):
            os.posix_fadvise(self._descriptor, offset, length, os.POSIX_FADV_WILLNEED)


class ColdCache:
    """Memory of whether files are in the page cache.

    If they are not, the reader announces the byte ranges that it will copy, which makes reading from a disk several
    times as fast. If they are, that would cost a quarter of the time of a crop, so ranges are announced only until
    COLD_READS samples in a row have been read without the disk. The pixels are the same either way.
    """

    def __init__(self) -> None:
        self._left = 0

    def __bool__(self) -> bool:
        """Return whether to announce ranges."""
        return self._left > 0

    def note(self, waited: bool) -> None:
        """Record a sample.

        Args:
            waited: Whether some of it had to be read from disk.
        """
        self._left = COLD_READS if waited else max(self._left - 1, 0)


def disk_reads() -> int:
    """Return the number of blocks that this thread has had read from disk."""
    return resource.getrusage(OWN).ru_inblock


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


@lru_cache(maxsize=4096)
def runs(frames: tuple[int, ...]) -> list[tuple[int, Run]]:
    """Divide frames into evenly spaced runs, each with its position. Our datasets' clips are one run."""
    step = frames[1] - frames[0] if len(frames) > 1 else 1
    if step and frames == tuple(range(frames[0], frames[0] + step * len(frames), step)):
        return [(0, Run(frames[0], step, len(frames)))]
    return [(at, Run(frame, 1, 1)) for at, frame in enumerate(frames)]

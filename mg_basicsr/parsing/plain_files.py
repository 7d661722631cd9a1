"""Files that are read whole: regular ones, of a bounded size. Opening a pipe or a device could wait for ever."""

from __future__ import annotations

import os
import stat
from pathlib import Path

MOST_BYTES = 1 << 24  # options files have a few thousand
NOT_REGULAR = 'Not a regular file, but a pipe, a socket or a device'


def read_plain_file(path: str | Path, most: int | None = None, limit: int = -1) -> bytes:
    """Return the bytes of a regular file.

    Args:
        path: The file.
        most: Bytes that it may have; those of an options file by default.
        limit: Most bytes to read, from the first; -1 for all.

    Raises:
        IsADirectoryError: It is a folder.
        OSError: It cannot be read, is another kind of file (pipe, socket, device), or is too large; `strerror` says
            which.
    """
    most = most or MOST_BYTES
    descriptor = open_plain_file(path)
    with open(descriptor, 'rb') as file:
        size = os.fstat(descriptor).st_size
        if size > most:
            raise OSError(27, f'{size / 1e6:,.0f} MB are too large for {most / 1e6:,.0f} MB', str(path))
        return file.read(limit)


def open_plain_file(path: str | Path) -> int:
    """Open a regular file for reading, and return its descriptor.

    Raises:
        IsADirectoryError: It is a folder.
        OSError: It cannot be opened, or is another kind of file (pipe, socket, device); `strerror` says which.
        FileNotFoundError: There is no such file, or its path cannot be that of a file.
    """
    try:
        descriptor, mode = open_at_once(path)
    except ValueError:  # a null character, or a lone surrogate
        raise FileNotFoundError(2, os.strerror(2), repr(str(path))) from None
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(21, 'Is a directory', str(path))
        raise OSError(22, NOT_REGULAR, str(path))
    return descriptor


def open_at_once(path: str | Path, links: bool = True) -> tuple[int, int]:
    """Open whatever there is for reading, and return its descriptor and its mode (`os.stat`), which says what it is.

    Args:
        path: The path.
        links: Whether a symbolic link is followed; otherwise it is an error (ELOOP).

    Raises:
        OSError: it cannot be opened.
        ValueError: the path cannot be that of a file.
    """
    # without O_NONBLOCK, opening a pipe waits until another process writes to it
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if links else os.O_NOFOLLOW)
    descriptor = os.open(path, flags)
    return descriptor, os.fstat(descriptor).st_mode

"""Files that are read whole: regular ones, of a bounded size. Opening a pipe or a device could wait for ever."""

from __future__ import annotations

import os
import stat
from pathlib import Path

MOST_BYTES = 1 << 24  # options files have a few thousand


def read_plain_file(path: Path) -> bytes:
    """Return the bytes of a regular file.

    Raises:
        IsADirectoryError: It is a folder.
        OSError: It cannot be read, is another kind of file (pipe, socket, device), or is too large; `strerror` says
            which.
    """
    # without O_NONBLOCK, opening a pipe waits until another process writes to it
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, 'rb') as file:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(21, 'Is a directory', str(path))
        if not stat.S_ISREG(status.st_mode):
            raise OSError(22, 'Not a regular file, but a pipe, a socket or a device', str(path))
        if status.st_size > MOST_BYTES:
            raise OSError(27, f'{status.st_size / 1e6:,.0f} MB are too large for an options file', str(path))
        return file.read()

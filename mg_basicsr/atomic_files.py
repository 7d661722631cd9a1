"""Files that are whole or not there, whenever the process is killed, the disk is full, or the machine stops.

A file is written under a temporary name in its own folder, synced, and then renamed over the old one, if any.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PARTIAL = '.part'  # ending of files that are being written


@contextmanager
def whole_file(path: Path) -> Iterator[int]:
    """A descriptor to read and write; the file gets its name when the block ends without an error.

    The temporary name is of this process, so that another one cannot write to the same file. After an error nothing of
    it is left, and an older file of that name is as it was.

    Raises:
        OSError: it cannot be written, for instance on a full disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'{path.name}.{os.getpid()}{PARTIAL}')
    descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        try:
            yield descriptor
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(partial, path)
        sync_folder(path.parent)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_whole(path: Path, text: str) -> None:
    """Writes a text file, whole or not at all."""
    with whole_file(path) as descriptor:
        write_at(descriptor, 0, text.encode())


def write_at(descriptor: int, offset: int, data: bytes | memoryview) -> None:
    """Writes all bytes. Raises OSError, for instance on a full disk."""
    view = memoryview(data).cast('B')
    while len(view):
        written = os.pwrite(descriptor, view, offset)
        offset += written
        view = view[written:]


def append_line(path: Path, line: str) -> None:
    """Adds a line. Several processes may do so at the same time: the system keeps appended writes apart."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        data = line.encode()
        if os.write(descriptor, data) != len(data):
            raise OSError(28, os.strerror(28))  # a disk that is full to the byte
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_partials(root: Path) -> None:
    """Removes, below a folder, what processes that were killed have left."""
    for folder, _, files in os.walk(root):
        for name in files:
            if name.endswith(PARTIAL):
                Path(folder, name).unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder last, renamed and removed ones included."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

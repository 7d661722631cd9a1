"""Atomic writes: a file is whole or absent, even if the process is killed, the disk is full, or the machine stops.

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
    """Yield a descriptor to read and write; the file gets its name when the block ends without an error.

    The temporary name holds the process id, so that no other process writes to the same file. After an error the
    temporary file is removed, and an older file of that name is unchanged.

    Raises:
        OSError: the file cannot be written, for instance on a full disk.
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
    """Write a text file in UTF-8, whole or not at all.

    Args:
        path: The file; missing folders are made.
        text: Its contents.

    Raises:
        OSError: the file cannot be written, for instance on a full disk.
    """
    with whole_file(path) as descriptor:
        write_at(descriptor, 0, text.encode())


def write_at(descriptor: int, offset: int, data: bytes | memoryview) -> None:
    """Write all bytes at a place of an open file.

    Args:
        descriptor: A file that is open for writing.
        offset: First byte in the file.
        data: The bytes, contiguous.

    Raises:
        OSError: not all of them can be written, for instance on a full disk.
    """
    view = memoryview(data).cast('B')
    while len(view):
        written = os.pwrite(descriptor, view, offset)
        offset += written
        view = view[written:]


def append_line(path: Path, line: str) -> None:
    """Append a line to a file and sync it. Several processes may do so at the same time.

    Args:
        path: The file; made if absent.
        line: The line with its end. It is written in one call, since the system keeps appended writes apart.

    Raises:
        OSError: it cannot be written whole.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        data = line.encode()
        if os.write(descriptor, data) != len(data):
            raise OSError(28, os.strerror(28))  # a disk that is full to the byte
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_partials(root: Path) -> None:
    """Remove the temporary files below a folder, left there by processes that were killed."""
    for folder, _, files in os.walk(root):
        for name in files:
            if name.endswith(PARTIAL):
                Path(folder, name).unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Sync a folder, so that files made, renamed and removed in it stay so after a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

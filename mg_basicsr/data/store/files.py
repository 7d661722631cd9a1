"""Lines added to a file by several processes."""

from __future__ import annotations

import os
from pathlib import Path


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

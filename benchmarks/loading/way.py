"""A way of reading samples: how it stores the clips, opens them, and reads a place."""

from __future__ import annotations

import inspect
import json
import os
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from loading.sets import Clips, Pixels, Place

Pair = tuple[Pixels, Pixels]  # LQ and GT


def forget(files: Iterable[Path]) -> None:
    """Drops files from the page cache, which keeps what is mapped or not yet written."""
    for path in files:
        descriptor = os.open(path, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


class Way:
    """Base of all ways.

    `build` writes the files, `open` does what is done once, `read` returns LQ and GT, uint8, as new arrays that hold
    nothing else, frames first; `planes` says whether channels come before rows or after columns.
    """

    name = ''
    label = ''
    planes = False
    shares = False  # the files of another way

    def __init__(self, clips: Clips, work: Path) -> None:
        self.clips = clips
        self.folder = work / self.name

    def build(self) -> None:
        """Writes the files of the clips to the folder."""

    def open(self) -> None:
        """Opens them."""

    def read(self, place: Place) -> Pair:
        """Reads a sample."""
        raise NotImplementedError

    def close(self) -> None:
        """Lets go of all files, so that the page cache can forget them."""

    @property
    def files(self) -> list[Path]:
        """Files that are read."""
        return sorted(path for path in self.folder.rglob('*') if path.is_file())

    def ready(self) -> None:
        """Builds the files if that has not been done, and notes how long it took."""
        done = self.folder.with_suffix('.built')
        if not done.exists():
            started = time.perf_counter()
            self.build()
            os.sync()
            done.parent.mkdir(parents=True, exist_ok=True)
            done.write_text(json.dumps({'minutes': (time.perf_counter() - started) / 60}))

    def about(self) -> dict[str, float]:
        """Disk, minutes to build, and lines of code that a user writes to read (not to build)."""
        written = [inspect.getsource(part) for part in (type(self).open, type(self).read) if part is not Way.open]
        lines = [line for text in written for line in text.splitlines() if line.strip() and '"""' not in line]
        return {
            'megabytes': sum(path.stat().st_size for path in self.files) / 1e6,
            'minutes_to_build': json.loads(self.folder.with_suffix('.built').read_text())['minutes'],
            'lines': len(lines),
        }

    def cool(self) -> None:
        """Makes the page cache forget the files."""
        self.close()
        forget(self.files)

    def same_order(self, pair: Pair) -> Pair:
        """A sample with channels last, for comparisons."""
        lq, gt = pair
        return (lq.transpose(0, 2, 3, 1), gt.transpose(0, 2, 3, 1)) if self.planes else pair


def cut(image: Pixels, place: Place, scale: int) -> Pixels:
    """The crop of one frame."""
    return image[place.window(scale)]


def stacked(crops: list[Pixels]) -> Pixels:
    """Crops of several frames as one array."""
    return np.stack(crops)

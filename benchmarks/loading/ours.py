"""Ours: the raw store with the compiled kernel and without it, and the compressed store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from loading.sets import SCALE, Place
from loading.way import Pair, Way
from mg_basicsr.data.crops.crop import Flips, Window
from mg_basicsr.data.kernels import compiled
from mg_basicsr.data.store import reader
from mg_basicsr.data.store.building.build import build
from mg_basicsr.data.store.building.inputs import Making, from_roots
from mg_basicsr.data.store.format import Header
from mg_basicsr.data.store.reader import StoreFrames

UNFLIPPED = Flips()


class Crops(NamedTuple):
    """A place, as the store is asked for it."""

    lq_frames: tuple[int, ...]
    gt_frames: tuple[int, ...]
    window: Window
    gt_window: Window


class Store(Way):
    """The raw store, read by the compiled kernel."""

    name, label, planes = 'store', 'store', True
    header = Header(SCALE)

    def build(self) -> None:
        """Builds it."""
        root = self.clips.root
        build(self.folder, self.header, from_roots(str(root / 'GT'), str(root / 'LQ'), Making(SCALE), images=False))

    def open(self) -> None:
        """Opens it."""
        self.store = StoreFrames(self.folder)
        self.sequences = [clip.sequence for clip in self.store.clips]
        for sequence in self.sequences:  # as the arrays are mapped
            self.store._opened(sequence)

    def read(self, place: Place) -> Pair:
        """Reads both sides."""
        clip, first, count, top, left, size = place
        edge = size // SCALE
        frames = tuple(range(first, first + count))
        crops = Crops(frames, frames, Window(top, left, edge), Window(top * SCALE, left * SCALE, size))
        lq, gt = np.empty((count, 3, edge, edge), np.uint8), np.empty((count, 3, size, size), np.uint8)
        self.store.read_pair(self.sequences[clip], crops, UNFLIPPED, lq, gt)
        return lq, gt

    def close(self) -> None:
        """Closes the clips."""
        self.store._open.clear()


class StoreNumpy(Store):
    """The same store without the kernel."""

    name, label, shares = 'store_numpy', 'store, without a compiler', True

    def ready(self) -> None:
        """Uses the files of the other one."""
        self.folder = self.folder.with_name('store')
        super().ready()

    def open(self) -> None:
        """Opens it."""
        with without_kernel():
            super().open()


class Compressed(Store):
    """The compressed store."""

    name, label = 'compressed', 'compressed store'
    header = Header(SCALE, 'zstd', 4)


@contextmanager
def without_kernel() -> Iterator[None]:
    """Clips that are opened meanwhile are read in NumPy."""
    reader.compiled = None
    try:
        yield
    finally:
        reader.compiled = compiled

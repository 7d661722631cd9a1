"""Peers that keep pixels as they are: `.npy` under a memory map, Zarr, tensorstore, Streaming, and a plain copy."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np

from loading.sets import SCALE, Pixels, Place
from loading.way import Pair, Way, cut, stacked

SIDES = (('LQ', 1), ('GT', SCALE))


class Npy(Way):
    """One array per clip and side, under a memory map: three lines of NumPy."""

    name, label = 'npy', '`.npy` under a map'

    def build(self) -> None:
        """Writes the arrays."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for side, _ in SIDES:
            for clip in range(len(self.clips.names)):
                np.save(self.folder / f'{side}{clip}.npy', np.stack(list(self.clips.read(side, clip))))

    def open(self) -> None:
        """Maps all of them."""
        names = range(len(self.clips.names))
        self.lq, self.gt = ([np.load(self.folder / f'{s}{n}.npy', mmap_mode='r') for n in names] for s, _ in SIDES)

    def read(self, place: Place) -> Pair:
        """Slices."""
        lq = self.lq[place.clip][place.part(1)].copy()
        return lq, self.gt[place.clip][place.part(SCALE)].copy()

    def close(self) -> None:
        """Unmaps them."""
        self.lq, self.gt = [], []


class NpyPlanes(Npy):
    """The same, changed to planes, as networks take them."""

    name, label, planes, shares = 'npy_planes', '`.npy`, changed to planes', True, True

    def ready(self) -> None:
        """Uses the files of the other one."""
        self.folder = self.folder.with_name('npy')
        super().ready()

    def read(self, place: Place) -> Pair:
        """Slices, and puts channels first."""
        lq = self.lq[place.clip][place.part(1)].transpose(0, 3, 1, 2)
        gt = self.gt[place.clip][place.part(SCALE)].transpose(0, 3, 1, 2)
        return np.ascontiguousarray(lq), np.ascontiguousarray(gt)


class NpyAdvised(Npy):
    """The same, tuned by hand for a cold disk: random access, and the frames' rows announced before they are copied."""

    name, label = 'npy_advised', '`.npy`, with advice'

    def open(self) -> None:
        """Maps them for random access."""
        super().open()
        for array in (*self.lq, *self.gt):
            array._mmap.madvise(mmap.MADV_RANDOM)  # type: ignore[union-attr]

    def read(self, place: Place) -> Pair:
        """Announces, then slices."""
        parts = []
        for array, (_, scale) in ((self.lq[place.clip], SIDES[0]), (self.gt[place.clip], SIDES[1])):
            rows, _ = place.window(scale)
            head = array.offset % mmap.PAGESIZE
            for frame in range(place.first, place.first + place.frames):
                begin = head + frame * array.strides[0] + rows.start * array.strides[1]
                length = (rows.stop - rows.start) * array.strides[1]
                start = begin - begin % mmap.PAGESIZE
                array._mmap.madvise(mmap.MADV_WILLNEED, start, begin + length - start)  # type: ignore[union-attr]
            parts.append(array[place.part(scale)])
        return parts[0].copy(), parts[1].copy()


class Tensorstore(Way):
    """Sharded Zarr 3, uncompressed, read through tensorstore with one thread."""

    name, label = 'tensorstore', 'tensorstore (Zarr 3)'

    def build(self) -> None:
        """Writes one array per clip and side, in chunks of 5 frames, one shard per clip."""
        import zarr

        for side, _ in SIDES:
            for clip in range(len(self.clips.names)):
                frames = np.stack(list(self.clips.read(side, clip)))
                edges = (80, 80) if side == 'GT' else (60, 80)
                zarr.create_array(
                    str(self.folder / f'{side}{clip}'),
                    data=frames,
                    chunks=(5, *edges, 3),
                    shards=(self.clips.frames, *frames.shape[1:]),
                    compressors=None,
                )

    def open(self) -> None:
        """Opens all arrays."""
        import tensorstore

        context = tensorstore.Context({'data_copy_concurrency': {'limit': 1}, 'file_io_concurrency': {'limit': 1}})

        def opened(side: str, clip: int) -> Any:
            where = {'driver': 'file', 'path': str(self.folder / f'{side}{clip}')}
            return tensorstore.open({'driver': 'zarr3', 'kvstore': where}, context=context).result()

        names = range(len(self.clips.names))
        self.lq, self.gt = ([opened(side, clip) for clip in names] for side, _ in SIDES)

    def read(self, place: Place) -> Pair:
        """Slices."""
        lq = self.lq[place.clip][place.part(1)].read()
        return lq.result(), self.gt[place.clip][place.part(SCALE)].read().result()

    def close(self) -> None:
        """Closes them."""
        self.lq, self.gt = [], []
        self.open()


class Zarr(Tensorstore):
    """The same arrays, read through zarr itself."""

    name, label, shares = 'zarr', 'Zarr 3', True

    def ready(self) -> None:
        """Uses the files of the other one."""
        self.folder = self.folder.with_name('tensorstore')
        super().ready()

    def open(self) -> None:
        """Opens all arrays."""
        import zarr

        names = range(len(self.clips.names))
        self.lq, self.gt = ([zarr.open_array(str(self.folder / f'{s}{n}'), mode='r') for n in names] for s, _ in SIDES)

    def read(self, place: Place) -> Pair:
        """Slices."""
        return self.lq[place.clip][place.part(1)], self.gt[place.clip][place.part(SCALE)]


class Mds(Way):
    """Streaming's MDS, one record of raw pixels per frame."""

    name, label = 'mds', 'Streaming (MDS, raw)'

    def build(self) -> None:
        """Writes the records in the order of clips and frames."""
        from streaming import MDSWriter

        columns = {'lq': 'ndarray:uint8', 'gt': 'ndarray:uint8'}
        with MDSWriter(out=str(self.folder), columns=columns, size_limit=1 << 28) as writer:
            for clip in range(len(self.clips.names)):
                for lq, gt in zip(self.clips.read('LQ', clip), self.clips.read('GT', clip), strict=True):
                    writer.write({'lq': np.ascontiguousarray(lq), 'gt': np.ascontiguousarray(gt)})

    def open(self) -> None:
        """Opens the data set."""
        from streaming import LocalDataset

        self.data = LocalDataset(str(self.folder))

    def read(self, place: Place) -> Pair:
        """Reads whole frames."""
        first = place.clip * self.clips.frames + place.first
        records = [self.data[first + n] for n in range(place.frames)]
        lq = stacked([cut(record['lq'], place, 1) for record in records])
        return lq, stacked([cut(record['gt'], place, SCALE) for record in records])


class Copy(NpyPlanes):
    """The limit: as many bytes in one piece from about the same place of the arrays, which are not the sample's."""

    name, label = 'copy', 'plain copy of as many bytes'

    def read(self, place: Place) -> Pair:
        """Copies."""
        sides = []
        for arrays, edge, scale in ((self.lq, place.size // SCALE, 1), (self.gt, place.size, SCALE)):
            flat: Pixels = arrays[place.clip].reshape(-1)
            count = place.frames * edge * edge * 3
            begin = min(place.first * arrays[place.clip].strides[0] + scale * place.top, flat.size - count)
            sides.append(flat[begin : begin + count].copy().reshape(place.frames, 3, edge, edge))
        return sides[0], sides[1]

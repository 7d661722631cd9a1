"""Reader of crops from the compressed file of a clip."""

from __future__ import annotations

import mmap

import numpy as np

from mg_basicsr.data.crops.crop import Pixels, Window
from mg_basicsr.data.listing.sequences import FrameSequence
from mg_basicsr.data.store.codec import Codec
from mg_basicsr.data.store.layout import CHANNELS, Geometry, Side, Span
from mg_basicsr.data.store.mapped_file import Run, Target, announce, copy_rows


class ZstdClip:
    """Open file of compressed blocks, after an index of their ends: LQ's blocks, then GT's, 8 bytes each.

    `map` is its memory map. Blocks of a side are in the order of tiles, and those of a tile in the order of frames.

    Args:
        mapped: Memory map of the file.
        sequence: The sequence under which the clip was opened.
        geometry: Layout of the file.
        block: Frames per block.

    Raises:
        ValueError: the index is damaged.
    """

    def __init__(self, mapped: mmap.mmap, sequence: FrameSequence, geometry: Geometry, block: int) -> None:
        self.sequence = sequence
        self.lq, self.gt = geometry.sides()
        self.map = mapped
        self._block = block
        self._per_tile = -(-geometry.frames // block)
        self._codec = Codec()
        self._first = {self.lq: 0, self.gt: self.lq.tiles * self._per_tile}
        count = self._first[self.gt] + self.gt.tiles * self._per_tile
        if len(mapped) < 8 * count:
            raise ValueError(f'has {len(mapped)} bytes, less than its index')
        ends = np.frombuffer(mapped, '<u8', count)
        starts = np.concatenate([[np.uint64(8 * count)], ends[:-1]])
        if (ends < starts).any() or ends[-1] != len(mapped):
            raise ValueError('has a damaged index')
        self._ends = ends

    def read(self, side: Side, run: Run, window: Window, target: Target, cold: bool) -> None:
        """Copy a crop of some frames.

        Args:
            side: LQ or GT of this clip.
            run: The frames.
            window: The crop in pixels of the side.
            target: Memory for the crop.
            cold: Announce byte ranges first, since they may have to be read from disk.

        Raises:
            ValueError: a block is damaged.
        """
        wanted = [run.first + run.step * position for position in range(run.frames)]
        parts: dict[int, list[tuple[int, int]]] = {}  # by block: position in the crop, and frame in the block
        for at, frame in enumerate(wanted):
            parts.setdefault(frame // self._block, []).append((at, frame % self._block))
        tiles = side.cover(window)
        for rows, columns in tiles if cold else ():
            self._announce(side, side.number(rows, columns), sorted(parts))
        for rows in dict.fromkeys(rows for rows, _ in tiles):
            # The codec works row by row, and few long rows are faster than many short ones: tiles are joined first.
            height = rows.inside + rows.size
            values = np.empty((height, run.frames, CHANNELS, window.width), np.uint8)
            # a row's span is one object in all its tiles, see `layout.cross`
            for columns in (columns for row, columns in tiles if row is rows):
                for block, inside in parts.items():
                    pixels = self._decompressed(side, rows, columns, block)
                    (at, first), last = inside[0], inside[-1][0]
                    strides = (pixels.strides[0], run.step * pixels.strides[1], pixels.strides[2])
                    offset = first * pixels.strides[1] + columns.inside
                    copy_rows(pixels, offset, strides, values[:, at : last + 1], columns.at, columns.size)
            self._codec.undo(values)
            planes = values[rows.inside :].transpose(1, 2, 0, 3)
            bottom = window.size - rows.at
            if target.upside_down:
                target.planes[:, :, bottom - rows.size : bottom] = planes[:, :, ::-1]
            else:
                target.planes[:, :, rows.at : rows.at + rows.size] = planes

    def _announce(self, side: Side, tile: int, blocks: list[int]) -> None:
        first = self._first[side] + tile * self._per_tile
        start, end = self._bounds(first + blocks[0])[0], self._bounds(first + blocks[-1])[1]
        announce(self.map, start, end - start)

    def _bounds(self, number: int) -> tuple[int, int]:
        start = int(self._ends[number - 1]) if number else 8 * len(self._ends)
        return start, int(self._ends[number])

    def _decompressed(self, side: Side, rows: Span, columns: Span, block: int) -> Pixels:
        start, end = self._bounds(self._first[side] + side.number(rows, columns) * self._per_tile + block)
        frames = min(self._block, side.frames - block * self._block)
        with memoryview(self.map) as data:
            try:
                return self._codec.decompress(data[start:end], (rows.extent, frames, CHANNELS, columns.extent))
            except ValueError as error:
                raise ValueError(f'is damaged at byte {start}: {error}') from None

"""Reader of crops from the compressed file of a clip."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mg_basicsr.data.crops.crop import Pixels
from mg_basicsr.data.listing.sequences import FrameSequence
from mg_basicsr.data.store.clip_file import ClipFile, CropRead, copy_rows, disk_reads
from mg_basicsr.data.store.codec import Codec
from mg_basicsr.data.store.layout import CHANNELS, Geometry, Side, Span


class ZstdClip:
    """Open file of compressed blocks, after an index of their ends: LQ's blocks, then GT's, 8 bytes each.

    Blocks of a side are in the order of tiles, and those of a tile in the order of frames.

    Args:
        file: The file.
        sequence: The sequence under which the clip was opened.
        geometry: Layout of the file.
        block: Frames per block.

    Raises:
        ValueError: the index is damaged.
    """

    def __init__(self, file: ClipFile, sequence: FrameSequence, geometry: Geometry, block: int) -> None:
        self.sequence = sequence
        self.lq, self.gt = geometry.sides()
        self.gt_frames = geometry.gt_frames
        self._file = file
        self._block = block
        self._per_tile = {side: -(-side.frames // block) for side in (self.lq, self.gt)}
        self._codec = Codec()
        self._first = {self.lq: 0, self.gt: self.lq.tiles * self._per_tile[self.lq]}
        count = self._first[self.gt] + self.gt.tiles * self._per_tile[self.gt]
        if file.size < 8 * count:
            raise ValueError(f'has {file.size} bytes, less than its index')
        ends = np.frombuffer(file.read(0, 8 * count), '<u8')
        starts = np.concatenate([[np.uint64(8 * count)], ends[:-1]])
        if (ends < starts).any() or ends[-1] != file.size:
            raise ValueError('has a damaged index')
        self._ends = ends

    def read(self, crops: list[CropRead], cold: bool, shared: bool = False) -> bool:
        """Copy crops of some frames.

        Args:
            crops: The crops.
            cold: Announce byte ranges first, since they may have to be read from disk.
            shared: The planes will be read by another process.

        Returns:
            Whether some had to be read from disk.

        Raises:
            ValueError: a block is damaged, the file has become shorter, or it cannot be read.
        """
        before = disk_reads()
        for crop in crops if cold else ():
            frames = crop.run.first, crop.run.last
            blocks = [min(frames) // self._block, max(frames) // self._block]
            for rows, columns in crop.side.cover(crop.window):
                self._announce(crop.side, crop.side.number(rows, columns), blocks)
        for crop in crops:
            self._read(crop)
        return disk_reads() > before

    def _read(self, crop: CropRead) -> None:
        side, run, window, out, upside_down = crop
        wanted = [run.first + run.step * position for position in range(run.frames)]
        parts: dict[int, list[tuple[int, int]]] = {}  # by block: position in the crop, and frame in the block
        for at, frame in enumerate(wanted):
            parts.setdefault(frame // self._block, []).append((at, frame % self._block))
        tiles = side.cover(window)
        for rows in dict.fromkeys(rows for rows, _ in tiles):
            # The codec works row by row, and few long rows are faster than many short ones: tiles are joined first.
            height = rows.inside + rows.size
            values = np.empty((height, run.frames, CHANNELS, window.width), np.uint8)
            # a row's span is one object in all its tiles, see `layout.cross`
            for columns in (columns for row, columns in tiles if row is rows):
                for inside, pixels in zip(
                    parts.values(), self._decompressed(side, rows, columns, [*parts]), strict=True
                ):
                    (at, first), last = inside[0], inside[-1][0]
                    strides = (pixels.strides[0], run.step * pixels.strides[1], pixels.strides[2])
                    offset = first * pixels.strides[1] + columns.inside
                    copy_rows(pixels, offset, strides, values[:, at : last + 1], columns.at, columns.size)
            self._codec.undo(values)
            planes = values[rows.inside :].transpose(1, 2, 0, 3)
            bottom = window.size - rows.at
            if upside_down:
                out[:, :, bottom - rows.size : bottom] = planes[:, :, ::-1]
            else:
                out[:, :, rows.at : rows.at + rows.size] = planes

    def _announce(self, side: Side, tile: int, blocks: list[int]) -> None:
        first = self._first[side] + tile * self._per_tile[side]
        start, end = self._bounds(first + blocks[0])[0], self._bounds(first + blocks[-1])[1]
        self._file.announce(start, end - start)

    def _bounds(self, number: int) -> tuple[int, int]:
        start = int(self._ends[number - 1]) if number else 8 * len(self._ends)
        return start, int(self._ends[number])

    def _decompressed(self, side: Side, rows: Span, columns: Span, blocks: list[int]) -> Iterator[Pixels]:
        first = self._first[side] + side.number(rows, columns) * self._per_tile[side]
        begin, end = self._bounds(first + min(blocks))[0], self._bounds(first + max(blocks))[1]
        data = memoryview(self._file.read(begin, end - begin))
        for block in blocks:
            start, stop = self._bounds(first + block)
            frames = min(self._block, side.frames - block * self._block)
            try:
                shape = (rows.extent, frames, CHANNELS, columns.extent)
                yield self._codec.decompress(data[start - begin : stop - begin], shape)
            except ValueError as error:
                raise ValueError(f'is damaged at byte {start}: {error}') from None

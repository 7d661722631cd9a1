"""Readers of crops from the raw file of a clip, all of GT and then all of LQ: compiled, and in NumPy."""

from __future__ import annotations

from types import ModuleType
from typing import NamedTuple

import numpy as np

from mg_basicsr.data.listing.sequences import FrameSequence
from mg_basicsr.data.store.clip_file import SHORTER, ClipFile, CropRead, disk_reads, row_item
from mg_basicsr.data.store.layout import CHANNELS, Geometry, Span

MOST_CROPS = 16  # of one call of the kernel; clips whose frames are evenly spaced have two


class MappedClip:
    """Open file of uncompressed pixels under a memory map, read by the compiled kernel.

    Args:
        file: The file.
        sequence: The sequence under which the clip was opened.
        geometry: Layout of the file.
        kernels: The compiled kernels.
    """

    def __init__(self, file: ClipFile, sequence: FrameSequence, geometry: Geometry, kernels: ModuleType) -> None:
        self.sequence = sequence
        self.lq, self.gt = geometry.sides()
        self.gt_frames = geometry.gt_frames
        self._map = file.map()
        self._size = file.size
        self._read_crops = kernels.read_crops

    def read(self, crops: list[CropRead], cold: bool, shared: bool = False) -> bool:
        """Copy crops; see `RawClip.read`.

        Raises:
            ValueError: the file has become shorter, or cannot be read.
        """
        failed = waited = False
        try:
            while len(crops) > MOST_CROPS:
                waited |= self._read_crops(self._map, crops[:MOST_CROPS], cold, shared)
                crops = crops[MOST_CROPS:]
            waited |= self._read_crops(self._map, crops, cold, shared)
        except EOFError:
            failed = True
        size = self._map.size()  # afterwards: what was cut off within a page reads as zeros
        if size < self._size:
            raise ValueError(SHORTER.format(size))
        if failed:
            raise ValueError('cannot be read: the disk fails')
        return waited


class RawClip:
    """Open file of uncompressed pixels, read by position.

    Args:
        file: The file.
        sequence: The sequence under which the clip was opened.
        geometry: Layout of the file.
    """

    def __init__(self, file: ClipFile, sequence: FrameSequence, geometry: Geometry) -> None:
        self.sequence = sequence
        self.lq, self.gt = geometry.sides()
        self.gt_frames = geometry.gt_frames
        self._file = file

    def read(self, crops: list[CropRead], cold: bool, shared: bool = False) -> bool:
        """Copy crops of some frames.

        Args:
            crops: The crops.
            cold: Announce byte ranges first, since they may have to be read from disk.
            shared: The planes will be read by another process.

        Returns:
            Whether some had to be read from disk.

        Raises:
            ValueError: the file has become shorter, or cannot be read.
        """
        before = disk_reads()
        pieces = [(crop, _pieces(crop)) for crop in crops]
        for _, found in pieces if cold else ():
            for piece in found:
                self._file.announce(piece.begin, piece.bytes)
        for crop, found in pieces:
            for piece in found:
                _copy(crop, piece, self._file.read(piece.begin, piece.bytes))
        return disk_reads() > before


class _Piece(NamedTuple):
    """Range of bytes of a tile in the file."""

    rows: Span
    columns: Span
    begin: int
    bytes: int


def _pieces(crop: CropRead) -> list[_Piece]:
    """Return what to read from each tile: frames are contiguous, even if the run is reversed or has a stride."""
    run, pieces = crop.run, []
    for rows, columns in crop.side.cover(crop.window):
        frame = CHANNELS * rows.extent * columns.extent
        above = rows.inside * columns.extent  # of the first and the last plane only the rows of the crop
        below = (rows.extent - rows.inside - rows.size) * columns.extent
        begin = crop.side.offset(rows, columns) + min(run.first, run.last) * frame + above
        length = (abs(run.step) * (run.frames - 1) + 1) * frame - above - below
        pieces.append(_Piece(rows, columns, begin, length))
    return pieces


def _copy(crop: CropRead, piece: _Piece, data: bytes) -> None:
    rows, columns, *_ = piece
    run, planes = crop.run, crop.planes
    row, plane = columns.extent, rows.extent * columns.extent
    offset = (run.first - min(run.first, run.last)) * CHANNELS * plane + columns.inside
    top = rows.at
    if crop.upside_down:
        offset += (rows.size - 1) * row
        row = -row
        top = crop.window.size - rows.at - rows.size
    item = row_item(columns.size)
    shape = (run.frames, CHANNELS, rows.size)
    pixels = np.ndarray(shape, item, data, offset, (run.step * CHANNELS * plane, plane, row))
    to_frame, to_plane, to_row, _ = planes.strides
    np.ndarray(shape, item, planes, top * to_row + columns.at, (to_frame, to_plane, to_row))[...] = pixels

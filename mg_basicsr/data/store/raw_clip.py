"""Reader of crops from the raw file of a clip."""

from __future__ import annotations

import mmap

import numpy as np

from mg_basicsr.data.crops.crop import Window
from mg_basicsr.data.listing.sequences import FrameSequence
from mg_basicsr.data.store.layout import CHANNELS, Geometry, Side
from mg_basicsr.data.store.mapped_file import Run, Target, announce, row_item


class RawClip:
    """Open file of uncompressed pixels: all of GT, then all of LQ. `map` is its memory map.

    Args:
        mapped: Memory map of the file.
        sequence: The sequence under which the clip was opened.
        geometry: Layout of the file.
    """

    def __init__(self, mapped: mmap.mmap, sequence: FrameSequence, geometry: Geometry) -> None:
        self.sequence = sequence
        self.lq, self.gt = geometry.sides()
        self.map = mapped

    def read(self, side: Side, run: Run, window: Window, target: Target, cold: bool) -> None:
        """Copy a crop of some frames.

        Args:
            side: LQ or GT of this clip.
            run: The frames.
            window: The crop in pixels of the side.
            target: Memory for the crop.
            cold: Announce byte ranges first, since they may have to be read from disk.
        """
        tiles = side.cover(window)
        # frames of a tile are contiguous: a run is one range of bytes, even if it is reversed or has a stride
        earliest = min(run.first, run.first + run.step * (run.frames - 1))
        length = abs(run.step) * (run.frames - 1) + 1
        places = []
        for rows, columns in tiles:
            offset = side.offset(rows, columns)
            frame = CHANNELS * rows.extent * columns.extent
            if cold:
                announce(self.map, offset + earliest * frame, length * frame)
            places.append(offset + run.first * frame)
        planes, upside_down = target
        to_frame, to_plane, to_row, _ = planes.strides
        for (rows, columns), offset in zip(tiles, places, strict=True):
            row, plane = columns.extent, rows.extent * columns.extent
            offset += rows.inside * row + columns.inside
            top = rows.at
            if upside_down:
                offset += (rows.size - 1) * row
                row = -row
                top = window.size - rows.at - rows.size
            item = row_item(columns.size)
            shape = (run.frames, CHANNELS, rows.size)
            pixels = np.ndarray(shape, item, self.map, offset, (run.step * CHANNELS * plane, plane, row))
            place = top * to_row + columns.at
            np.ndarray(shape, item, planes, place, (to_frame, to_plane, to_row))[...] = pixels

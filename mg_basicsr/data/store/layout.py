"""Layout of pixels in the file of a clip: arithmetic, no input or output.

A side, GT or LQ, is cut into square tiles; those at the right and lower edges are smaller. The bytes of a side run
over tile rows, tiles of a row, frames, channels (R, G, B), rows and columns. So the frames of a tile are stored one
after another, and consecutive frames of a crop are one range of bytes per tile.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mg_basicsr.data.crops.crop import Window

CHANNELS = 3


class Span(NamedTuple):
    """Part of a crop that one tile holds, along one axis, in pixels.

    Attributes:
        begin: First pixel of the tile in the frame.
        extent: Pixels of the tile.
        inside: First pixel of the crop, counted from the tile's first.
        size: Pixels of the crop in this tile.
        at: Their place in the crop.
    """

    begin: int
    extent: int
    inside: int
    size: int
    at: int


class Side(NamedTuple):
    """One side of a clip, LQ or GT, in its file.

    Attributes:
        start: First byte in the file.
        frames: Number of frames.
        height: Height of a frame in pixels.
        width: Width of a frame in pixels.
        tile: Edge of a whole tile in pixels.
    """

    start: int
    frames: int
    height: int
    width: int
    tile: int

    @property
    def bytes(self) -> int:
        """Bytes of all pixels of the side."""
        return CHANNELS * self.frames * self.height * self.width

    @property
    def columns(self) -> int:
        """Tiles in a row of tiles."""
        return -(-self.width // self.tile)

    @property
    def tiles(self) -> int:
        """Number of tiles."""
        return self.columns * -(-self.height // self.tile)

    def offset(self, rows: Span, columns: Span) -> int:
        """Return the first byte of a tile in a raw file.

        Whole rows of tiles precede it, and in its row the tiles to its left.

        Args:
            rows: The tile along the vertical axis.
            columns: The tile along the horizontal axis.
        """
        return self.start + CHANNELS * self.frames * (rows.begin * self.width + columns.begin * rows.extent)

    def number(self, rows: Span, columns: Span) -> int:
        """Return the position of a tile in the order of the file, from 0.

        Args:
            rows: The tile along the vertical axis.
            columns: The tile along the horizontal axis.
        """
        return rows.begin // self.tile * self.columns + columns.begin // self.tile

    def whole(self) -> list[tuple[Span, Span]]:
        """Return all tiles, in the order of the file."""
        return cross(spans(0, self.height, self.height, self.tile), spans(0, self.width, self.width, self.tile))

    def cover(self, window: Window) -> list[tuple[Span, Span]]:
        """Return rows and columns of the tiles that a window overlaps.

        Raises:
            ValueError: the window is not inside the frame.
        """
        top, left, size, _ = window
        width = window.width
        if not (size > 0 <= top <= self.height - size and 0 <= left <= self.width - width):
            raise ValueError(f'{window} is not inside frames of {self.height}x{self.width}')
        return cross(spans(top, size, self.height, self.tile), spans(left, width, self.width, self.tile))


class Geometry(NamedTuple):
    """Numbers that determine the layout of a clip's file.

    Attributes:
        frames: Number of frames.
        height: Height of a GT frame in pixels.
        width: Width of a GT frame in pixels.
        gt_tile: Edge of a GT tile in GT pixels.
        lq_tile: Edge of an LQ tile in LQ pixels.
        scale: GT pixels per LQ pixel and axis.
        gt_frames: Frames, from 0 and ascending, whose GT is stored; () where that of every frame is.

    >>> geometry = Geometry(frames=100, height=720, width=1280, gt_tile=80, lq_tile=64, scale=4)
    >>> geometry.bytes
    293760000
    >>> lq, gt = geometry.sides()
    >>> len(gt.cover(Window(top=100, left=100, size=256)))  # tiles that a crop of 256 x 256 overlaps
    16
    """

    frames: int
    height: int
    width: int
    gt_tile: int
    lq_tile: int
    scale: int
    gt_frames: tuple[int, ...] = ()

    @property
    def with_gt(self) -> Sequence[int]:
        """Frames whose GT is stored."""
        return self.gt_frames or range(self.frames)

    def sides(self) -> tuple[Side, Side]:
        """Return LQ and GT. In a raw file GT comes first."""
        gt = Side(0, len(self.with_gt), self.height, self.width, self.gt_tile)
        lq = Side(gt.bytes, self.frames, self.height // self.scale, self.width // self.scale, self.lq_tile)
        return lq, gt

    @property
    def bytes(self) -> int:
        """Bytes of all pixels of both sides: the size of a raw file."""
        return sum(side.bytes for side in self.sides())


def spans(start: int, size: int, length: int, tile: int) -> list[Span]:
    """Divide a range of pixels of one axis at the borders of tiles.

    Args:
        start: First pixel of the range.
        size: Pixels of the range, >= 1.
        length: Pixels of the axis.
        tile: Edge of a whole tile in pixels.
    """
    found = []
    end = start + size
    for begin in range(start - start % tile, end, tile):
        inside = start - begin if begin < start else 0
        extent = tile if begin + tile <= length else length - begin
        count = (extent if begin + extent < end else end - begin) - inside
        found.append(Span(begin, extent, inside, count, begin + inside - start))
    return found


def cross(rows: list[Span], columns: list[Span]) -> list[tuple[Span, Span]]:
    """Return every row paired with every column.

    Args:
        rows: Spans of the vertical axis.
        columns: Spans of the horizontal axis.
    """
    return [(row, column) for row in rows for column in columns]

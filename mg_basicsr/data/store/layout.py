"""Where pixels lie in the file of a clip: arithmetic on numbers alone.

A side, GT or LQ, is cut into square tiles; those at the right and lower edges are what is left. The bytes of a side run
over tile rows, tiles of a row, frames, channels (R, G, B), rows and columns. So the frames of a tile lie one after
another, and consecutive frames of a crop are one range of bytes per tile.
"""

from __future__ import annotations

from typing import NamedTuple

from mg_basicsr.data.crops.crop import Window

CHANNELS = 3


class Span(NamedTuple):
    """What one tile holds of a crop, along one axis, in pixels.

    Attributes:
        begin: First pixel of the tile in the frame.
        extent: Pixels of the tile.
        inside: First pixel wanted, from the tile's first.
        size: Pixels wanted.
        at: Where they go in the crop.
    """

    begin: int
    extent: int
    inside: int
    size: int
    at: int


class Side(NamedTuple):
    """One side of a clip: first byte in the file, number of frames, and height, width and tile edge in pixels."""

    start: int
    frames: int
    height: int
    width: int
    tile: int

    @property
    def bytes(self) -> int:
        """Bytes of all its pixels."""
        return CHANNELS * self.frames * self.height * self.width

    @property
    def columns(self) -> int:
        """Tiles beside each other."""
        return -(-self.width // self.tile)

    @property
    def tiles(self) -> int:
        """All tiles."""
        return self.columns * -(-self.height // self.tile)

    def offset(self, rows: Span, columns: Span) -> int:
        """First byte of a tile: whole rows of tiles lie before it, and in its row the tiles to its left."""
        return self.start + CHANNELS * self.frames * (rows.begin * self.width + columns.begin * rows.extent)

    def number(self, rows: Span, columns: Span) -> int:
        """Position of a tile in the order of the file, from 0."""
        return rows.begin // self.tile * self.columns + columns.begin // self.tile

    def whole(self) -> list[tuple[Span, Span]]:
        """All tiles, in the order of the file."""
        return cross(spans(0, self.height, self.height, self.tile), spans(0, self.width, self.width, self.tile))

    def cover(self, window: Window) -> list[tuple[Span, Span]]:
        """Rows and columns of the tiles that show a window.

        Raises:
            ValueError: the window is not inside the frame.
        """
        top, left, size, _ = window
        width = window.width
        if not (size > 0 <= top <= self.height - size and 0 <= left <= self.width - width):
            raise ValueError(f'{window} is not inside frames of {self.height}x{self.width}')
        return cross(spans(top, size, self.height, self.tile), spans(left, width, self.width, self.tile))


class Geometry(NamedTuple):
    """What tells the layout of a clip's file: frames, GT height and width and tile edges in pixels, and the scale."""

    frames: int
    height: int
    width: int
    gt_tile: int
    lq_tile: int
    scale: int

    def sides(self) -> tuple[Side, Side]:
        """LQ and GT. In a raw file GT comes first."""
        gt = Side(0, self.frames, self.height, self.width, self.gt_tile)
        lq = Side(gt.bytes, self.frames, self.height // self.scale, self.width // self.scale, self.lq_tile)
        return lq, gt

    @property
    def bytes(self) -> int:
        """Bytes of all pixels of both sides: the size of a raw file."""
        return sum(side.bytes for side in self.sides())


def spans(start: int, size: int, length: int, tile: int) -> list[Span]:
    """Cuts pixels start .. start + size - 1 of an axis of `length` pixels at the borders of tiles."""
    found = []
    end = start + size
    for begin in range(start - start % tile, end, tile):
        inside = start - begin if begin < start else 0
        extent = tile if begin + tile <= length else length - begin
        count = (extent if begin + extent < end else end - begin) - inside
        found.append(Span(begin, extent, inside, count, begin + inside - start))
    return found


def cross(rows: list[Span], columns: list[Span]) -> list[tuple[Span, Span]]:
    """Every row with every column."""
    return [(row, column) for row in rows for column in columns]

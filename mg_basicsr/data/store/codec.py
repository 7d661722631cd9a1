"""Lossless compression of blocks: some frames of one tile.

Green is subtracted from red and blue, then every row from the row below it, all modulo 256. The differences are small,
and zstd compresses them to about 44 % of the bytes. Rows are the outermost axis, so that undoing the second step adds
long rows.
"""

from __future__ import annotations

from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from mg_basicsr.data.crops.crop import Pixels
from mg_basicsr.errors import ConfigError, Problem

LEVEL = 1  # higher levels take several times as long and save less than one byte in a hundred


class Codec:
    """Compressor and decompressor of blocks. An object is used by one thread.

    Raises:
        ConfigError: the package zstandard is not installed.
    """

    def __init__(self) -> None:
        zstandard = _zstandard()
        self._errors = zstandard.ZstdError
        self._size = zstandard.frame_content_size
        self._compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)
        self._decompressor = zstandard.ZstdDecompressor()

    def encode(self, frames: Pixels) -> bytes:
        """Compress frames, uint8 (n, 3, h, w)."""
        rows = np.ascontiguousarray(frames.transpose(2, 0, 1, 3))
        rows[:, :, ::2] -= rows[:, :, 1:2]
        rows[1:] -= rows[:-1].copy()
        return bytes(self._compressor.compress(rows))

    def decompress(self, data: bytes | memoryview, shape: tuple[int, int, int, int]) -> Pixels:
        """Decompress the differences of a block; `undo` turns them into pixels.

        Args:
            data: The bytes that `encode` returned.
            shape: (h, n, 3, w).

        Raises:
            ValueError: the bytes are not a block of this shape.
        """
        try:
            if self._size(data) != prod(shape):  # first: damaged data could ask for any amount of memory
                raise ValueError('another size')
            return np.frombuffer(self._decompressor.decompress(data, allow_extra_data=False), np.uint8).reshape(shape)
        except self._errors as error:
            raise ValueError(str(error)) from None

    def undo(self, values: Pixels) -> None:
        """Turn differences, uint8 (h, n, 3, w) from the first row of a tile on, into pixels in place."""
        for above, below in pairwise(values):
            np.add(above, below, out=below)
        values[:, :, ::2] += values[:, :, 1:2]


def _zstandard() -> Any:
    try:
        import zstandard
    except ImportError:
        what = 'a compressed store needs the package zstandard, which is not installed'
        raise ConfigError(Problem('', what, remedy='pip install zstandard')) from None
    return zstandard

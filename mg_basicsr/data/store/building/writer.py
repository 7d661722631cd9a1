"""Writer of clip files, whole or not at all."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mg_basicsr.atomic_files import whole_file, write_at
from mg_basicsr.data.crops.crop import Pixels
from mg_basicsr.data.listing.sequences import FrameSequence
from mg_basicsr.data.store.codec import Codec
from mg_basicsr.data.store.format import Clip, Header, clip_path
from mg_basicsr.data.store.layout import CHANNELS, Geometry, Side, Span

# Edges of GT and LQ tiles in pixels. With larger tiles, more is read from a cold disk and decompressed; with smaller
# ones, more pieces are copied. Rows of 64 bytes are lines of a processor's cache. Measured with the compiled kernel in
# memory: 64 and 32 cost 8, 23 and 18 % less than 80 and 64 for crops of 256 x 15, 128 x 15 and 64 x 5.
RAW_TILES = 64, 32
COMPRESSED_TILES = 64, 32
WHOLE_PIXELS = 512 * 512  # raw GT frames up to this are one tile: septuplets, sub-images
CHUNK_BYTES = 64 << 20  # most bytes of a side's frames in memory at a time
READ_BYTES = 1 << 20


class Pair(NamedTuple):
    """Pair of frames.

    Attributes:
        gt: uint8 (H, W, 3), RGB; None for a frame without GT.
        lq: uint8 (H / scale, W / scale, 3), RGB.
    """

    gt: Pixels | None
    lq: Pixels


def geometry_of(sequence: FrameSequence, header: Header, gt_frames: tuple[int, ...] = ()) -> Geometry:
    """Choose the layout of a new clip.

    Args:
        sequence: Name, number of frames and GT size.
        header: Header of the store.
        gt_frames: Frames that have GT; () if all have.
    """
    _, frames, height, width = sequence
    if header.codec == 'raw' and height * width <= WHOLE_PIXELS:
        gt_tile = lq_tile = max(height, width)
    else:
        gt_tile, lq_tile = RAW_TILES if header.codec == 'raw' else COMPRESSED_TILES
        lq_tile = gt_tile if header.scale == 1 else lq_tile
    return Geometry(frames, height, width, gt_tile, lq_tile, header.scale, gt_frames)


def write_clip(
    root: Path, header: Header, sequence: FrameSequence, frames: Iterable[Pair], gt_frames: tuple[int, ...] = ()
) -> Clip:
    """Write the file of a clip. The caller lists the clip, which makes it part of the store.

    Args:
        root: Folder of the store.
        header: Header of the store.
        sequence: Name, number of frames and GT size.
        frames: The frames, in order.
        gt_frames: Those that have GT; () if all have.

    Returns:
        The entry for the list.

    Raises:
        OSError: the file cannot be written, for instance on a full disk.
        ValueError: the number of frames or their size is not the sequence's.
    """
    geometry = geometry_of(sequence, header, gt_frames)
    with whole_file(clip_path(root, sequence.name)) as descriptor:
        if header.codec == 'raw':
            size = _write_raw(descriptor, geometry, frames)
        else:
            size = _write_zstd(descriptor, geometry, frames, header.block)
        checksum = sha256(descriptor)
    return Clip(sequence.name, geometry, size, checksum)


def sha256(descriptor: int) -> str:
    """Return the SHA-256 of a whole file as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    offset = 0
    while data := os.pread(descriptor, READ_BYTES, offset):
        digest.update(data)
        offset += len(data)
    return digest.hexdigest()


def _write_raw(descriptor: int, geometry: Geometry, frames: Iterable[Pair]) -> int:
    if hasattr(os, 'posix_fallocate'):
        os.posix_fallocate(descriptor, 0, geometry.bytes)  # fails now if the disk is full; avoids fragments
    for side, first, planes in _chunks(frames, geometry, 1):
        for rows, columns in side.whole():
            tile = _cut(planes, rows, columns)
            offset = side.offset(rows, columns) + first * CHANNELS * rows.extent * columns.extent
            write_at(descriptor, offset, np.ascontiguousarray(tile).data)
    return geometry.bytes


def _write_zstd(descriptor: int, geometry: Geometry, frames: Iterable[Pair], block: int) -> int:
    codec = Codec()
    # by tile and block of frames, the order of the file
    blocks: dict[Side, dict[tuple[int, int], bytes]] = {side: {} for side in geometry.sides()}
    for side, first, planes in _chunks(frames, geometry, block):
        for rows, columns in side.whole():
            tile = _cut(planes, rows, columns)
            number = side.number(rows, columns)
            for at in range(0, len(tile), block):
                blocks[side][number, first + at] = codec.encode(tile[at : at + block])
    ordered = [found[key] for found in blocks.values() for key in sorted(found)]
    ends = 8 * len(ordered) + np.cumsum([len(data) for data in ordered])
    write_at(descriptor, 0, ends.astype('<u8').tobytes())
    for end, data in zip(ends.tolist(), ordered, strict=True):
        write_at(descriptor, end - len(data), data)
    return int(ends[-1])


def _chunks(frames: Iterable[Pair], geometry: Geometry, multiple: int) -> Iterator[tuple[Side, int, Pixels]]:
    """Yield runs of frames of a side: the side, their first frame in it, and their planes (n, 3, h, w).

    The length of all runs of a side but its last is a multiple of `multiple`. Planes are overwritten afterwards.

    Raises:
        ValueError: the number of frames or their size is not the geometry's, or others than its `gt_frames` have GT.
    """
    buffers = [_Buffer(side, multiple) for side in geometry.sides()]
    number, with_gt = 0, frozenset(geometry.with_gt)
    for number, pair in enumerate(frames, 1):
        if number > geometry.frames:
            raise ValueError(f'more than {geometry.frames} frames')
        if (pair.gt is not None) != (number - 1 in with_gt):
            raise ValueError(f'frame {number - 1} has {"no " if pair.gt is None else ""}GT')
        for buffer, frame in zip(buffers, (pair.lq, pair.gt), strict=True):
            if frame is not None and buffer.add(frame):
                yield buffer.side, buffer.done, buffer.taken()
    for buffer in buffers:
        if buffer.filled:
            yield buffer.side, buffer.done, buffer.taken()
    if number != geometry.frames:
        raise ValueError(f'{number} frames instead of {geometry.frames}')


class _Buffer:
    """Frames of a side that wait to be written: bounded memory whatever the length of the clip."""

    def __init__(self, side: Side, multiple: int) -> None:
        most = max(1, CHUNK_BYTES // (CHANNELS * side.height * side.width) // multiple) * multiple
        self._planes = np.empty((min(most, side.frames), CHANNELS, side.height, side.width), np.uint8)
        self.side = side
        self.done = self.filled = 0

    def add(self, frame: Pixels) -> bool:
        """Add a frame; return whether the buffer is full."""
        _check(self.side, frame)
        self._planes[self.filled] = frame.transpose(2, 0, 1)
        self.filled += 1
        return self.filled == len(self._planes)

    def taken(self) -> Pixels:
        """Return the planes, which further frames overwrite, and begin anew."""
        planes = self._planes[: self.filled]
        self.done, self.filled = self.done + self.filled, 0
        return planes


def _cut(planes: Pixels, rows: Span, columns: Span) -> Pixels:
    return planes[..., rows.begin : rows.begin + rows.extent, columns.begin : columns.begin + columns.extent]


def _check(side: Side, frame: Pixels) -> None:
    if frame.dtype != np.uint8 or frame.shape != (side.height, side.width, CHANNELS):
        raise ValueError(f'a frame of {frame.shape} {frame.dtype} instead of {side.height}x{side.width} RGB')

"""Origin of a clip: where and what it was made from, so that a later change of the frames is noticed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from os.path import abspath
from typing import NamedTuple

from mg_basicsr.data.sources.byte_files import ByteFiles

HEAD = 4096  # bytes of a frame that are hashed: images that differ do so there, or in their size


class Sampled(NamedTuple):
    """File of one frame.

    Attributes:
        name: Its name below the root.
        bytes: Its size.
        time: Of its last change, in nanoseconds.
        sha256: SHA-256 of its first bytes, see `HEAD`.
    """

    name: str
    bytes: int
    time: int
    sha256: str


class Origin(NamedTuple):
    """Files of one side of a clip.

    Attributes:
        root: Folder that they are in, absolute.
        frames: Number of files.
        bytes: Of all files together.
        newest: Time of the last change of any, in nanoseconds.
        sample: The first, the middle and the last file.
    """

    root: str
    frames: int
    bytes: int
    newest: int
    sample: tuple[Sampled, ...]


def origin_of(files: ByteFiles, names: Sequence[str]) -> Origin:
    """Return the origin of a clip.

    Args:
        files: The root of its frames.
        names: Names of its frames, at least one.

    Raises:
        OSError: a frame does not exist or cannot be read.
    """
    found = [files.size_and_time(name) for name in names]
    sample = tuple(
        Sampled(names[at], *found[at], head_hash(files, names[at]))
        for at in sorted({0, len(names) // 2, len(names) - 1})
    )
    sizes, times = zip(*found, strict=True)
    return Origin(abspath(files.root), len(names), sum(sizes), max(times), sample)


def head_hash(files: ByteFiles, name: str) -> str:
    """Return the SHA-256 of the first bytes of a frame's file.

    Args:
        files: The root of the frames.
        name: Name of the frame.

    Raises:
        OSError: it cannot be read.
    """
    return hashlib.sha256(files.read(name, HEAD)).hexdigest()


def changed(then: Origin, now: Origin) -> str:
    """Return what differs between two origins; empty if the frames are taken to be the same.

    Times and places alone make no difference: a data set may be copied or moved.

    Args:
        then: The origin that was recorded.
        now: The one that is there.
    """
    if then.frames != now.frames:
        return f'{now.frames} frames in {now.root}, made from {then.frames} in {then.root}'
    if then.bytes != now.bytes:
        return f'frames of {now.bytes} bytes in {now.root}, made from {then.bytes} bytes in {then.root}'
    for before, after in zip(then.sample, now.sample, strict=False):
        if before.sha256 != after.sha256:
            return f'another {after.name} in {now.root} than it was made from'
    return ''

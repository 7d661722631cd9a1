"""Damages of a file, drawn at random: what disks, transfers, downloads and mistaken commands leave in its place."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

Damage = Callable[[Path, random.Random], None]


def cut(path: Path, rng: random.Random) -> None:
    """At the start, at the end, or anywhere."""
    size = path.stat().st_size
    os.truncate(path, rng.choice([0, 1, rng.randrange(size), rng.randrange(size), size - 1]))


def cut_at_a_page(path: Path, rng: random.Random) -> None:
    os.truncate(path, rng.randrange(path.stat().st_size) // 4096 * 4096)


def flipped_bit(path: Path, rng: random.Random) -> None:
    data = bytearray(path.read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def zeroed(path: Path, rng: random.Random) -> None:
    """A block of the disk, or a part of one, that was never written."""
    data = bytearray(path.read_bytes())
    start = rng.randrange(len(data))
    end = min(len(data), start + rng.choice([16, 512, 4096]))
    data[start:end] = bytes(end - start)
    path.write_bytes(data)


def all_zero(path: Path, rng: random.Random) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def noise(path: Path, rng: random.Random) -> None:
    path.write_bytes(rng.randbytes(path.stat().st_size))


def web_page(path: Path, rng: random.Random) -> None:
    path.write_text('<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head><body>Not Found</body></html>\n')


def pointer(path: Path, rng: random.Random) -> None:
    """What git leaves of a large file that was not fetched."""
    path.write_text(f'version https://git-lfs.github.com/spec/v1\noid sha256:{rng.randbytes(32).hex()}\nsize 123456\n')


def missing(path: Path, rng: random.Random) -> None:
    path.unlink()


def folder(path: Path, rng: random.Random) -> None:
    path.unlink()
    path.mkdir()


def pipe(path: Path, rng: random.Random) -> None:
    path.unlink()
    os.mkfifo(path)


def device(path: Path, rng: random.Random) -> None:
    path.unlink()
    path.symlink_to(rng.choice(['/dev/zero', '/dev/null']))


def circle(path: Path, rng: random.Random) -> None:
    path.unlink()
    path.symlink_to(path.name)


def unreadable(path: Path, rng: random.Random) -> None:
    """Can be opened, but each read fails, for root too: as on a disk with bad blocks."""
    path.unlink()
    path.symlink_to('/proc/self/mem')


DAMAGES: tuple[Damage, ...] = (
    cut, cut_at_a_page, flipped_bit, zeroed, all_zero, noise, web_page, pointer, missing, folder, pipe, device, circle,
    unreadable,
)  # fmt: skip

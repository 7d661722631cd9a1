"""Changes to a small set that real data sets and file systems have: other names, files beside the frames, losses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np


def rename_frames(folder: Path, name: Callable[[int], str]) -> None:
    """Rename the frames of every clip below a folder by their position in the clip."""
    for clip in sorted(path for path in folder.iterdir() if path.is_dir()):
        paths = [path.rename(clip / f'{path.name}.old') for path in sorted(clip.iterdir())]
        for number, path in enumerate(paths):
            path.rename(clip / name(number))


def replace_frames(folder: Path) -> None:
    """Replace the pixels of all frames below a folder."""
    for path in folder.rglob('*.png'):
        cv2.imwrite(str(path), 255 - cv2.imread(str(path)))


def truncated_film(path: Path, frames: int, share: float) -> Path:
    """Write an AVI of noise, of which a share of the bytes is left."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 25, (96, 64))
    rng = np.random.default_rng(0)
    for _ in range(frames):
        writer.write(rng.integers(0, 256, (64, 96, 3), np.uint8))
    writer.release()
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path

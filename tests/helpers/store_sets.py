"""Sets of noise, and the type of the fixture that makes stores of sets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

MakeStore = Callable[..., Path]


def noise(seed: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A frame of noise: every pixel tells."""
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


def write_noise(root: Path, lengths: dict[str, int], size: tuple[int, int], scale: int) -> Path:
    """A REDS-like set of noise, LQ and GT independent."""
    for number, (name, frames) in enumerate(lengths.items()):
        for frame in range(frames):
            for side, edge in (('GT', 1), ('LQ', scale)):
                path = root / side / name / f'{frame:08d}.png'
                path.parent.mkdir(parents=True, exist_ok=True)
                image = noise(1000 * number + 2 * frame + edge % 2, (size[0] // edge, size[1] // edge))
                cv2.imwrite(str(path), image, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    lines = [f'{name} {frames} ({size[0]},{size[1]},3)\n' for name, frames in lengths.items()]
    (root / 'meta.txt').write_text(''.join(lines))
    return root

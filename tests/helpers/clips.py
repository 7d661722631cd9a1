"""A small REDS-like set of smooth textures that drift."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

CLIPS = {'001': 9, '002': 37, '003': 12}  # of different lengths: BasicSR's own classes assume 100
VALIDATION = {'000': 4, '011': 4}
GT_SHAPE = (96, 128)
SCALE = 4


def write_set(root: Path) -> Path:
    """Write `GT/`, `LQ/` and `meta.txt`, and a validation set below `val/`, whose clips the same meta.txt lists."""
    write_clips(root, CLIPS)
    write_clips(root / 'val', VALIDATION, seed=1)
    (root / 'meta.txt').write_text(meta_info({**CLIPS, **VALIDATION}))
    return root


def meta_info(clips: Mapping[str, int], shape: tuple[int, int] = GT_SHAPE) -> str:
    """The text of a meta_info_file of clips, given by their numbers of frames."""
    return ''.join(f'{name} {frames} ({shape[0]},{shape[1]},3)\n' for name, frames in sorted(clips.items()))


def write_clips(root: Path, clips: Mapping[str, int], shape: tuple[int, int] = GT_SHAPE, seed: int = 0) -> None:
    """Write clips in the layout of REDS: a smooth random texture that drifts; LQ by area averaging.

    Args:
        root: Gets the folders GT and LQ.
        clips: The number of frames by name.
        shape: Height and width of a GT frame.
        seed: Of the textures.
    """
    rng = np.random.default_rng(seed)
    for name, frames in clips.items():
        texture = cv2.GaussianBlur(rng.integers(0, 256, (2 * shape[0], 2 * shape[1], 3), dtype=np.uint8), (0, 0), 1.5)
        texture = cv2.normalize(texture, None, 0, 255, cv2.NORM_MINMAX)
        for side in ('GT', 'LQ'):
            (root / side / name).mkdir(parents=True, exist_ok=True)
        for n in range(frames):
            top, left = n % shape[0], 2 * n % shape[1]
            gt = texture[top : top + shape[0], left : left + shape[1]]
            lq = cv2.resize(gt, (shape[1] // SCALE, shape[0] // SCALE), interpolation=cv2.INTER_AREA)
            cv2.imwrite(str(root / 'GT' / name / f'{n:08d}.png'), gt)
            cv2.imwrite(str(root / 'LQ' / name / f'{n:08d}.png'), lq)

"""Small data sets in BasicSR's layouts whose pixels tell where they are from.

A GT pixel is RGB = (50 * number of the sequence + frame, y, x); the LQ frame is every scale-th pixel of it. So a crop
can be read: which frames it shows, where it lies, and whether LQ and GT show the same place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import lmdb
import numpy as np
from numpy.typing import NDArray

SIZE = (48, 64)  # GT height and width
SCALE = 4
PNG = ('.png', [cv2.IMWRITE_PNG_COMPRESSION, 1])


def picture(sequence: int, frame: int, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    """A GT frame in OpenCV's order, BGR."""
    y, x = np.mgrid[: size[0], : size[1]]
    return np.stack([x, y, np.full(size, 50 * sequence + frame)], axis=-1).astype(np.uint8)


def write_pair(root: Path, name: str, image: NDArray[np.uint8], scale: int = SCALE, lq_name: str = '') -> None:
    """`GT/name` and `LQ/lq_name`, with their folders."""
    for side, step in (('GT', 1), ('LQ', scale)):
        path = root / side / ((lq_name if side == 'LQ' else '') or name)
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.ascontiguousarray(image[::step, ::step]), PNG[1])


def block(root: Path, **changes: Any) -> dict[str, Any]:
    """A `datasets.train` block for the set below `root`, as BasicSR's classes want it."""
    options: dict[str, Any] = {
        'name': 'test', 'phase': 'train', 'scale': SCALE,
        'dataroot_gt': str(root / 'GT'), 'dataroot_lq': str(root / 'LQ'), 'dataroot_flow': None,
        'meta_info_file': str(root / 'meta.txt'), 'val_partition': 'REDS4', 'test_mode': False,
        'io_backend': {'type': 'disk'}, 'num_frame': 5, 'gt_size': 16, 'interval_list': [1],
        'random_reverse': False, 'use_hflip': True, 'use_rot': True, 'flip_sequence': False,
    }  # fmt: skip
    return {**options, **changes}


def write_reds(root: Path, lengths: Mapping[str, int], size: tuple[int, int] = SIZE) -> Path:
    """Sequences of these lengths, numbered in this order."""
    for number, (name, frames) in enumerate(lengths.items()):
        for frame in range(frames):
            write_pair(root, f'{name}/{frame:08d}.png', picture(number, frame, size))
    lines = [f'{name} {frames} ({size[0]},{size[1]},3)\n' for name, frames in lengths.items()]
    (root / 'meta.txt').write_text(''.join(lines))
    return root


def write_vimeo(root: Path, names: Sequence[str], frames: int = 7) -> Path:
    """Septuplets, or sequences of another length."""
    for number, name in enumerate(names):
        for frame in range(frames):
            write_pair(root, f'{name}/im{frame + 1}.png', picture(number, frame + 1))
    (root / 'meta.txt').write_text(''.join(f'{name} {frames} ({SIZE[0]},{SIZE[1]},3)\n' for name in names))
    return root


def write_flows(root: Path, sequence: str, frames: int, reach: int) -> None:
    """Quantised flows, x above y, as BasicSR's REDSDataset reads them: noise that depends on the file's name."""
    height, width = SIZE[0] // SCALE, SIZE[1] // SCALE
    folder = root / 'flow' / sequence
    folder.mkdir(parents=True)
    for center in range(frames):
        for offset in (o for o in range(-reach, reach + 1) if o and 0 <= center + o < frames):
            levels = np.random.default_rng([center, offset + reach]).integers(0, 255, (2 * height, width), np.uint8)
            name = f'{center:08d}_{"n" if offset > 0 else "p"}{abs(offset)}.png'
            cv2.imwrite(str(folder / name), levels)


def to_lmdb(root: Path, target: Path, sides: Sequence[str] = ('GT', 'LQ')) -> Path:
    """The same set with each side in an LMDB as BasicSR's script makes it: `target/GT.lmdb`, `target/LQ.lmdb`."""
    for side in sides:
        folder = target / f'{side}.lmdb'
        folder.mkdir(parents=True)
        files = sorted((root / side).rglob('*.png'))
        lines = []
        with lmdb.open(str(folder), map_size=1 << 26) as environment, environment.begin(write=True) as transaction:
            for path in files:
                name = path.relative_to(root / side)
                transaction.put(name.with_suffix('').as_posix().encode(), path.read_bytes())
                height, width = cv2.imread(str(path)).shape[:2]
                lines.append(f'{name.as_posix()} ({height},{width},3) 1\n')
        (folder / 'meta_info.txt').write_text(''.join(lines))
    return target


def lmdb_block(root: Path, target: Path, **changes: Any) -> dict[str, Any]:
    """The block for what `to_lmdb` made of the set below `root`."""
    roots = {f'dataroot_{side.lower()}': str(target / f'{side}.lmdb') for side in ('GT', 'LQ')}
    return block(root, **{**roots, 'io_backend': {'type': 'lmdb'}, **changes})

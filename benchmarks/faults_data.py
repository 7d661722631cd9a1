"""Clips of faults.py: in folders, LMDBs and a crop store."""

from __future__ import annotations

import itertools
from pathlib import Path

import cv2
import lmdb
import numpy as np

from mg_basicsr.data.store.building.build import build
from mg_basicsr.data.store.building.inputs import Making, from_roots
from mg_basicsr.data.store.format import Header

CLIPS, VALIDATION = {'001': 9, '002': 20, '003': 12}, {'000': 6, '011': 6}
GT_SHAPE, SCALE = (96, 128), 4


def make_data(root: Path) -> None:
    """All forms of the clips: `GT`, `LQ`, `meta.txt`; `GT.lmdb`, `LQ.lmdb`; `store`; and `val/GT`, `val/LQ`."""
    rng = np.random.default_rng(0)
    write_clips(root, CLIPS, rng)
    write_clips(root / 'val', VALIDATION, rng)
    for side in ('GT', 'LQ'):
        write_lmdb(root / side, root / f'{side}.lmdb')
    build(root / 'store', Header(SCALE), from_roots(str(root / 'GT'), str(root / 'LQ'), Making(SCALE), images=False))


def write_clips(root: Path, clips: dict[str, int], rng: np.random.Generator) -> None:
    """Drifting textures in the layout of REDS, with their list."""
    for name, frames in clips.items():
        texture = cv2.GaussianBlur(rng.integers(0, 256, (192, 256, 3), dtype=np.uint8), (0, 0), 1.5)
        for n, side in itertools.product(range(frames), ('GT', 'LQ')):
            gt = texture[n : n + GT_SHAPE[0], 2 * n : 2 * n + GT_SHAPE[1]]
            image = gt if side == 'GT' else cv2.resize(gt, None, fx=1 / SCALE, fy=1 / SCALE)
            (root / side / name).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(root / side / name / f'{n:08d}.png'), image)
    lines = [f'{name} {frames} ({GT_SHAPE[0]},{GT_SHAPE[1]},3)\n' for name, frames in clips.items()]
    (root / 'meta.txt').write_text(''.join(lines))


def write_lmdb(folder: Path, target: Path) -> None:
    """The frames below a folder as BasicSR's script puts them into an LMDB."""
    target.mkdir()
    with lmdb.open(str(target), map_size=1 << 26) as environment, environment.begin(write=True) as transaction:
        for path in sorted(folder.rglob('*.png')):
            transaction.put(path.relative_to(folder).with_suffix('').as_posix().encode(), path.read_bytes())

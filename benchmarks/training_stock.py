"""The best stock: the ways in which BasicSR's own loop can be set to read the same clips, and their data.

Sub-images are what BasicSR's documents advise for speed: frames are cut into overlapping parts of 480 x 480, so that a
crop decodes a quarter of a frame. The list repeats the parts of small frames, so that every clip is drawn as often as
from whole frames.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import lcm
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mg_basicsr.atomic_files import write_whole
from mg_basicsr.demo.clips import whole_folders, write_png

SCALE = 4
SUB_IMAGE, STEP = 480, 240
SIDES = (('GT', 1), ('LQ', SCALE))
SUB = 'train_sub'  # folder of the sub-images, beside `train`


@dataclass(frozen=True)
class Stock:
    """Way of running BasicSR's own loop.

    Attributes:
        train_set: Changes of `datasets.train`.
        environment: Variables of the process.
    """

    train_set: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


ONE_THREAD = {'OMP_NUM_THREADS': '1'}
WHOLE = {'dataroot_gt': 'train/GT', 'dataroot_lq': 'train/LQ', 'meta_info_file': 'train/meta_info.txt'}
PARTS = {'dataroot_gt': f'{SUB}/GT', 'dataroot_lq': f'{SUB}/LQ', 'meta_info_file': f'{SUB}/meta_info.txt'}
DATABASES = {
    'dataroot_gt': f'{SUB}/GT.lmdb', 'dataroot_lq': f'{SUB}/LQ.lmdb', 'meta_info_file': f'{SUB}/meta_info.txt',
    'io_backend': {'type': 'lmdb'},
}  # fmt: skip
PREFETCH = {'prefetch_mode': 'cpu', 'num_prefetch_queue': 2}
WAYS: Mapping[str, Stock] = {
    'as it comes': Stock(WHOLE),
    '1 thread': Stock(WHOLE, ONE_THREAD),
    '1 thread, 2 workers': Stock({**WHOLE, 'num_worker_per_gpu': 2}, ONE_THREAD),
    'sub-images': Stock(PARTS),
    'sub-images, 1 thread': Stock(PARTS, ONE_THREAD),
    'sub-images, 1 thread, CPU prefetcher': Stock({**PARTS, **PREFETCH}, ONE_THREAD),
    'LMDB of sub-images, 1 thread': Stock(DATABASES, ONE_THREAD),
    'LMDB of sub-images, 2 threads': Stock(DATABASES),
}


def make_sub_images(root: Path) -> None:
    """Sub-images of the training clips below `root`, as folders and as LMDBs; what is there already is kept."""
    lines = (root / 'train/meta_info.txt').read_text(encoding='utf-8').split('\n')
    clips = [(line.split(' ')[0], int(line.split(' ')[1])) for line in lines if line]
    parts = {name: [part for part, _, _ in _parts(root, name)] for name, _ in clips}
    for name, frames in clips:
        _cut(root, name, frames)
    equal = lcm(*map(len, parts.values()))  # entries of each clip
    entries = [
        f'{part} {frames} ({SUB_IMAGE},{SUB_IMAGE},3)\n'
        for name, frames in clips
        for part in parts[name] * (equal // len(parts[name]))
    ]
    write_whole(root / SUB / 'meta_info.txt', ''.join(entries))
    for side, _ in SIDES:
        _make_database(root / SUB / side)


def _parts(root: Path, name: str) -> Iterator[tuple[str, int, int]]:
    """(name, top, left) of the sub-images of a clip, in GT pixels."""
    height, width = cv2.imread(str(root / f'train/GT/{name}/00000000.png')).shape[:2]
    tops, lefts = _starts(height), _starts(width)
    return ((f'{name}_{n:02d}', top, left) for n, (top, left) in enumerate((y, x) for y in tops for x in lefts))


def _starts(length: int) -> list[int]:
    return list(dict.fromkeys([*range(0, length - SUB_IMAGE, STEP), length - SUB_IMAGE]))


def _cut(root: Path, name: str, frames: int) -> None:
    """The sub-images of a clip, GT and LQ."""
    places = list(_parts(root, name))
    folders = [root / SUB / side / part for side, _ in SIDES for part, _, _ in places]
    if all(folder.is_dir() for folder in folders):
        return
    with whole_folders(folders) as partials:
        for frame in range(frames):
            to = iter(partials)
            for side, smaller in SIDES:
                image = cv2.imread(str(root / f'train/{side}/{name}/{frame:08d}.png'))
                edge = SUB_IMAGE // smaller
                for _, top, left in places:
                    y, x = top // smaller, left // smaller
                    write_png(next(to) / f'{frame:08d}.png', np.ascontiguousarray(image[y : y + edge, x : x + edge]))


def _make_database(folder: Path) -> None:
    """LMDB of the frames of a folder of clips, with the keys that BasicSR's dataset asks for."""
    import lmdb

    target = folder.with_suffix('.lmdb')
    if (target / 'meta_info.txt').exists():
        return
    with lmdb.open(str(target), map_size=1 << 34) as database, database.begin(write=True) as transaction:
        for path in sorted(folder.glob('*/*.png')):
            transaction.put(f'{path.parent.name}/{path.stem}'.encode(), path.read_bytes())
    write_whole(target / 'meta_info.txt', '')  # the last: a database without it is made anew

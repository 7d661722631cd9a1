"""Clips that are read: made here, or given; septuplets cut out of them; the options of both sets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mg_basicsr.demo.clips import make_clips

SCALE = 4
SEPTUPLETS, SEPTUPLET_SIZE = 24, (256, 448)

Pixels = NDArray[np.uint8]


class Place(NamedTuple):
    """One sample of the common list: a clip, its first frame, and a crop in LQ pixels."""

    clip: int
    first: int
    frames: int
    top: int
    left: int
    size: int  # of the GT crop

    def window(self, scale: int) -> tuple[slice, slice]:
        """Rows and columns, `scale` pixels per LQ pixel."""
        edge = self.size // SCALE
        top, left = scale * self.top, scale * self.left
        return slice(top, top + scale * edge), slice(left, left + scale * edge)

    def part(self, scale: int) -> tuple[slice, slice, slice]:
        """Frames, rows and columns."""
        return slice(self.first, self.first + self.frames), *self.window(scale)


class Clips:
    """Frames of a REDS-like set as files: DIR/GT, DIR/LQ, DIR/meta_info.txt; all of one size."""

    def __init__(self, root: Path) -> None:
        self.root = root
        lines = (root / 'meta_info.txt').read_text().splitlines()
        self.names = [line.split()[0] for line in lines]
        self.frames, self.height, self.width = (
            int(number) for number in re.findall(r'\d+', lines[0].partition(' ')[2])[:3]
        )

    def path(self, side: str, clip: int, frame: int) -> Path:
        """File of a frame."""
        return self.root / side / self.names[clip] / f'{frame:08d}.png'

    def read(self, side: str, clip: int) -> Iterator[Pixels]:
        """Frames of a clip, RGB."""
        for frame in range(self.frames):
            yield cv2.imread(str(self.path(side, clip, frame)))[:, :, ::-1]

    @property
    def raw_bytes(self) -> int:
        """Bytes of all pixels of both sides."""
        return len(self.names) * self.frames * self.height * self.width * 3 * (SCALE**2 + 1) // SCALE**2

    def place(self, rng: Any, size: int, frames: int) -> Place:
        """A place that a `random.Random` chooses."""
        height, width = self.height // SCALE, self.width // SCALE
        return Place(
            rng.randrange(len(self.names)),
            rng.randrange(self.frames - frames + 1),
            frames,
            rng.randrange(height - size // SCALE + 1),
            rng.randrange(width - size // SCALE + 1),
            size,
        )


def prepare_reds(data: Path | None, work: Path) -> dict[str, Any]:
    """Options of the REDS-like set."""
    if data is None:
        data = work / 'clips'
        if not (data / 'meta_info.txt').exists():
            print('making clips: about two minutes', flush=True)
            # 000 is a validation clip of REDS4
            make_clips(data, 3, 100, (720, 1280), 0, lambda gt: gt[::SCALE, ::SCALE].copy(), first_index=1)
    return {
        **block(data),
        'meta_info_file': str(data / 'meta_info.txt'),
        'val_partition': 'REDS4',
        'interval_list': [1],
        'random_reverse': False,
    }


def prepare_vimeo(reds: dict[str, Any], work: Path) -> dict[str, Any]:
    """Septuplets cut out of the clips, and their options."""
    data = work / 'septuplets'
    names = [f'00001/{number:04d}' for number in range(1, SEPTUPLETS + 1)]
    meta = data / 'meta_info.txt'
    if not meta.exists():
        sources = sorted(path for path in Path(reds['dataroot_gt']).iterdir() if path.is_dir())
        for number, name in enumerate(names):
            clip = sources[number % len(sources)]
            first = number // len(sources) * 7
            for frame in range(7):
                image = cv2.imread(str(clip / f'{first + frame:08d}.png'))[: SEPTUPLET_SIZE[0], : SEPTUPLET_SIZE[1]]
                for side, step in (('GT', 1), ('LQ', SCALE)):
                    path = data / side / name / f'im{frame + 1}.png'
                    path.parent.mkdir(parents=True, exist_ok=True)
                    cv2.imwrite(str(path), np.ascontiguousarray(image[::step, ::step]))
        meta.write_text(''.join(f'{name} 7 ({SEPTUPLET_SIZE[0]},{SEPTUPLET_SIZE[1]},3)\n' for name in names))
    return {**block(data), 'meta_info_file': str(meta), 'num_frame': 7, 'random_reverse': False, 'flip_sequence': False}


def block(data: Path) -> dict[str, Any]:
    """What the `datasets.train` blocks of both sets have in common."""
    return {
        'name': data.name,
        'dataroot_gt': str(data / 'GT'),
        'dataroot_lq': str(data / 'LQ'),
        'io_backend': {'type': 'disk'},
        'num_frame': 15,
        'gt_size': 256,
        'scale': SCALE,
        'use_hflip': True,
        'use_rot': True,
        'test_mode': False,
    }

"""The clips of training.py: generated ones of 1280x720, shots of a real video if one is given, and those held out."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from mg_basicsr.atomic_files import write_whole
from mg_basicsr.demo.clips import make_clips, make_frames, whole_folders, write_png
from mg_basicsr.demo.scene import VAL_PHOTOGRAPHS
from mg_basicsr.host.store_inputs import bicubic

FRAMES = 100  # BasicSR's REDS class takes every clip to have as many
SIZE = (720, 1280)
GENERATED = 6
PROCESSES = 2
# Of "Big Buck Bunny" at 854x480, 24 frames per second: first frames of clips within one shot. Columns are cut to a
# multiple of the scale.
VIDEO_SIZE = (480, 848)
VIDEO_TRAIN = (50, 170, 430, 560)
VIDEO_VAL = (300, 345)
VAL_CLIPS, VAL_FRAMES, VAL_SIZE = 3, 10, (256, 320)

degrade = partial(bicubic, scale=4)


def make_data(root: Path, video: Path | None) -> None:
    """Training and held-out clips below `root`, in the layout of REDS; what is there already is kept.

    Args:
        root: Folder that receives `train` and `val`.
        video: A video of at least 660 frames of 480 x 848 pixels, of which clips are taken besides; or None.
    """
    parts = [range(first, GENERATED, PROCESSES) for first in range(PROCESSES)]
    with ProcessPoolExecutor(PROCESSES) as pool:
        for done in [pool.submit(_generate, root, part) for part in parts]:
            done.result()
    clips = [(index, SIZE) for index in range(GENERATED)]
    _make_val(root)
    if video:
        for n, first in enumerate(VIDEO_TRAIN):
            _cut(video, root / 'train', GENERATED + n, first, FRAMES)
            clips.append((GENERATED + n, VIDEO_SIZE))
        for n, first in enumerate(VIDEO_VAL):
            _cut(video, root / 'val', VAL_CLIPS + n, first, VAL_FRAMES)
    lines = [f'{index:03d} {FRAMES} ({height},{width},3)\n' for index, (height, width) in clips]
    write_whole(root / 'train/meta_info.txt', ''.join(lines))


def _generate(root: Path, indices: range) -> None:
    """Make some clips in a process of its own; the list of all is written when all are there."""
    make_frames(root / 'train', indices, FRAMES, SIZE, 0, degrade)


def _make_val(root: Path) -> None:
    make_clips(root / 'val', VAL_CLIPS, VAL_FRAMES, VAL_SIZE, 1, degrade, photographs=VAL_PHOTOGRAPHS)


def _cut(video: Path, root: Path, index: int, first: int, frames: int) -> None:
    """Frames `first` .. of a video as clip `index`, GT and LQ."""
    folders = [root / side / f'{index:03d}' for side in ('GT', 'LQ')]
    if all(folder.is_dir() for folder in folders):
        return
    capture = cv2.VideoCapture(str(video))
    with whole_folders(folders) as partials:
        for number in range(first + frames):
            found, frame = capture.read()
            if not found:
                raise SystemExit(f'{video} ends at frame {number}; {first + frames} are needed')
            if number >= first:
                height, width = VIDEO_SIZE
                left = (frame.shape[1] - width) // 2
                gt = np.ascontiguousarray(frame[:height, left : left + width])
                for folder, image in zip(partials, (gt, degrade(gt)), strict=True):
                    write_png(folder / f'{number - first:08d}.png', image)
    capture.release()

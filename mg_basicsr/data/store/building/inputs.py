"""Clips for a store: from folders and LMDBs, from BasicSR's lists, and from videos."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import NamedTuple

from mg_basicsr.data.crops.degradation import Degrade
from mg_basicsr.data.listing.frame_names import REDS_FRAMES, VIMEO_FRAMES, FrameNames
from mg_basicsr.data.listing.image_lists import list_images
from mg_basicsr.data.listing.sequences import FrameSequence, first_of, read_lines, read_meta_file, reds_split
from mg_basicsr.data.sources.byte_files import Folder, LmdbFolder
from mg_basicsr.data.sources.image_files import EncodedSide, open_side
from mg_basicsr.data.store.building.material import ImageFiles, VideoFile
from mg_basicsr.data.store.building.video import inspect, split
from mg_basicsr.data.store.format import is_name
from mg_basicsr.errors import ConfigError, DataError, Problem
from mg_basicsr.train_set import BLOCK, TrainSetOptions

IMAGES = ('.png', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff', '.webp')
NAMES: dict[str, FrameNames] = {'reds': REDS_FRAMES, 'vimeo': VIMEO_FRAMES}  # by layout


class Making(NamedTuple):
    """Way of making LQ frames.

    Attributes:
        scale: GT pixels per LQ pixel and axis.
        degrade: Function that makes an LQ frame of a GT frame; None if LQ frames are read.
    """

    scale: int
    degrade: Degrade | None = None


@dataclass(frozen=True)
class ListedFrames:
    """Names of frames as listed, the same for GT and LQ.

    Attributes:
        frames: Name of each frame.
    """

    frames: tuple[str, ...]

    def lq(self, sequence: str, frame: int) -> str:
        """See `FrameNames.lq`."""
        return self.frames[frame]

    def gt(self, sequence: str, frame: int) -> str:
        """See `FrameNames.gt`."""
        return self.frames[frame]


def from_roots(gt: str, lq: str | None, making: Making, images: bool) -> list[ImageFiles]:
    """Return the clips of folders or of BasicSR's LMDBs: one per folder of frames, or one per image.

    A clip has the name of its folder, below the root; an image that of its file. Frames are in the order of the numbers
    in their names. Sizes are those of first frames; if LQ is made from GT, GT is cropped to whole LQ pixels.

    Args:
        gt: Root of GT.
        lq: Root of LQ; None if LQ is made from GT.
        making: Scale and degradation.
        images: Whether every image is a clip.

    Raises:
        ConfigError: a root does not exist.
        DataError: there are no images, or a first frame cannot be read.
    """
    gt_side = _side('GT', gt, '--gt')
    lq_side = _side('LQ', lq, '--lq') if lq else None
    names = sorted(_names(gt), key=_in_order)
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(name if images else os.path.dirname(name), []).append(name)
    if not groups or '' in groups:
        what = f'{"images that are in no clip, such as " + groups[""][0] if groups else "no images"}'
        remedy = 'use --layout images' if groups else 'give the folder of the clips, or an LMDB with its meta_info.txt'
        raise DataError(Problem(f'--gt {gt}', what, 'allowed: one folder per clip, with its frames in it', remedy))
    found = []
    for name, frames in groups.items():
        sequence = FrameSequence(name, len(frames), 0, 0)
        height, width = gt_side.shape(sequence, frames[0])
        cut = (0, 0) if lq_side else (height % making.scale, width % making.scale)
        sequence = sequence._replace(height=height - cut[0], width=width - cut[1])
        listed = ListedFrames(tuple(frames))
        found.append(ImageFiles(sequence, listed, gt_side, lq_side, making.degrade, making.scale, cut))
    return _checked(found, f'--gt {gt}')


def from_options(options: TrainSetOptions, layout: str, degrade: Degrade | None) -> list[ImageFiles]:
    """Return the sequences of a training set's meta file, validation clips too, so that the store has any partition.

    Clips that the set's own partition holds out for validation are left out if they do not exist.

    Args:
        options: Options of the set.
        layout: 'reds', 'vimeo' or 'images'.
        degrade: Function that makes LQ frames; None to read them from the LQ root.

    Raises:
        ConfigError: a root or the list does not exist.
        DataError: the list is damaged, or an image cannot be read.
    """
    suffix = '' if layout == 'images' else '.png'
    names: FrameNames
    sequences: Iterable[FrameSequence]
    if layout == 'images':
        sequences, names = list_images(options)
    else:
        sequences, names = read_meta_file(options.meta_info_file), NAMES[layout]
    gt = open_side(options, 'dataroot_gt', suffix)
    lq = None if degrade else open_side(options, 'dataroot_lq', suffix)
    held_out: set[FrameSequence] = set()
    if layout == 'reds' and options.val_partition:
        held_out = set(sequences) - set(reds_split(sequences, options.val_partition, validation=False))
    found = []
    for sequence in sequences:
        if sequence in held_out and gt.missing(sequence, [names.gt(sequence.name, 0)]):
            continue
        if not sequence.height:
            height, width = gt.shape(sequence, names.gt(sequence.name, 0))
            sequence = sequence._replace(height=height, width=width)
        found.append(ImageFiles(sequence, names, gt, lq, degrade, options.scale))
    return _checked(found, f'{BLOCK}.dataroot_gt')


def from_videos(
    paths: Sequence[str],
    making: Making,
    length: int,
    parts: int = 1,
    progress: Callable[[str, int], None] | None = None,
) -> list[VideoFile]:
    """Return clips of `length` frames from the shots of videos, with names `VIDEO/0000` and so on.

    Args:
        paths: Paths of the videos.
        making: Scale and degradation.
        length: Frames of each clip.
        parts: Pieces of a video, one for each process. Each process decodes the video from its start.
        progress: Called with the path and the number of frames decoded.

    Raises:
        ConfigError: `making` has no degradation.
        DataError: a video cannot be decoded, or no shot is long enough.
    """
    degrade = making.degrade
    if degrade is None:
        what = 'videos have no LQ side'
        raise ConfigError(Problem('--gt', what, 'allowed: --degradation bicubic or bd', 'say how LQ is to be made'))
    found = []
    for path in paths:
        video = inspect(path, partial(progress, path) if progress else None)
        height, width = (edge - edge % making.scale for edge in (video.height, video.width))
        starts = split(video, length)
        share = max(1, -(-len(starts) // parts))
        for first in range(0, max(1, len(starts)), share):
            part = tuple(starts[first : first + share])
            found.append(VideoFile(path, PurePosixPath(path).stem, part, length, height, width, degrade, first))
    if not any(video.starts for video in found):
        what = 'no shot is as long'
        raise DataError(
            Problem(f'--clip-length {length}', what, 'allowed: a length that shots have', 'give a smaller number')
        )
    _check_names([clip.name for video in found for clip in video.clips], '--gt')
    return found


def _checked(found: list[ImageFiles], option: str) -> list[ImageFiles]:
    """Return the clips, after checks of their sizes and names.

    Raises:
        DataError: a size is not divisible by the scale, or a name is not allowed.
    """
    problems = [
        Problem(
            option,
            f'{part.sequence.name} has GT frames of {part.sequence.height}x{part.sequence.width} pixels, '
            f'not divisible by scale: {part.scale}',
            f'allowed: GT frames {part.scale} times as high and wide as the LQ frames',
            'crop its frames, or check the scale',
        )
        for part in found
        if part.sequence.height % part.scale or part.sequence.width % part.scale
    ]
    if problems:
        raise DataError(*first_of(problems, 'of this kind'))
    _check_names([part.sequence.name for part in found], option)
    return found


def _check_names(names: Sequence[str], option: str) -> None:
    """Check that names are allowed in a store, and different.

    Raises:
        DataError: a name is not.
    """
    seen: set[str] = set()
    for name in names:
        if not is_name(name) or name in seen:
            wrong = 'is the name of two clips' if name in seen else 'cannot be the name of a clip in a store'
            raise DataError(Problem(option, f'{name!r} {wrong}', 'allowed: names of folders and files', 'rename it'))
        seen.add(name)


def _names(root: str) -> list[str]:
    """Return the names of a root's images, relative to it: files of a folder, keys of an LMDB."""
    if root.rstrip('/').endswith('.lmdb'):
        lines = read_lines(os.path.join(root, 'meta_info.txt'), '--gt')
        return [os.path.splitext(line.split(' ')[0].strip())[0] for _, line in lines]
    found = []
    for folder, _, files in os.walk(root):
        below = os.path.relpath(folder, root).replace(os.sep, '/')
        here = '' if below == '.' else f'{below}/'
        found += [f'{here}{file}' for file in files if file.lower().endswith(IMAGES) and not file.startswith('.')]
    return found


def _in_order(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts im2 before im10."""
    parts = re.split(r'(\d+)', name)
    return [(int(part), '') if part.isdecimal() else (0, part) for part in parts]


def _side(label: str, root: str, option: str) -> EncodedSide:
    files = LmdbFolder(root, option) if root.rstrip('/').endswith('.lmdb') else Folder(root, option)
    return EncodedSide(label, files)

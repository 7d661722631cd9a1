"""Small copy of a validation set: a few cropped frames of its first clip, in a folder, for a validation on trial.

The host's classes read a whole set when they are made; of the copy, in the same layout, that takes no time.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import cv2

from mg_basicsr.errors import Problem
from mg_basicsr.host.validation_files import LAYOUTS, SEPTUPLETS, pairs_of

ALIKE = 64  # LQ sizes that are equal modulo this are divisible alike, by all windows and pyramids in use
LEAST_GT = 192  # pixels that metrics need: NIQE takes two blocks of 96
IMAGES_TAKEN = 2


class Least(NamedTuple):
    """Smallest sample that the network is known to take.

    Attributes:
        frames: Frames of a clip.
        size: Edge of an LQ frame in pixels.
    """

    frames: int
    size: int


def crop_of(edge: int, least: int, alike: bool = True) -> int:
    """Return the edge of a cropped LQ frame: small, and divisible by the same numbers as the whole edge.

    Args:
        edge: Edge of the whole frame in pixels.
        least: Smallest edge.
        alike: Whether it must be divisible alike; otherwise it is the smallest.

    >>> crop_of(180, 64), crop_of(320, 64), crop_of(40, 64)
    (116, 64, 40)
    """
    return min(edge, least + (edge - least) % ALIKE if alike else least)


def miniature(
    section: Mapping[str, Any], scale: int, least: Least, folder: Path, alike: bool = True
) -> dict[str, Any] | None:
    """Write a small copy of a validation set, and return the options of the set with the paths of the copy.

    Args:
        section: Options of the set.
        scale: GT pixels per LQ pixel and axis.
        least: Smallest sample that the network takes.
        folder: Folder that gets the copy; it is made.
        alike: Whether the crops are divisible by the numbers that the frames are divisible by.

    Returns:
        The options; None if the layout is not known, or the frames cannot be read.
    """
    layout, ignored = LAYOUTS.get(str(section.get('type'))), list[Problem]()
    backend = section.get('io_backend')
    if layout is None or (isinstance(backend, Mapping) and backend.get('type', 'disk') != 'disk'):
        return None
    roots = {key: os.path.expanduser(str(section.get(key))) for key in ('dataroot_gt', 'dataroot_lq')}
    if not all(map(os.path.isdir, roots.values())):
        return None
    window = section.get('num_frame')
    frames = max(least.frames, window if type(window) is int else 0)
    lines = []
    for n, pair in enumerate(pairs_of(section, ignored)):
        if n == (IMAGES_TAKEN if not pair.name else 1):
            break
        taken = len(pair.lq) if layout == SEPTUPLETS else frames
        sides = (('dataroot_gt', pair.gt[:taken], scale), ('dataroot_lq', pair.lq[:taken], 1))
        for key, paths, factor in sides:
            for path in paths:
                target = folder / key / os.path.relpath(path, roots[key])
                if not _write_crop(path, target, factor, max(least.size, -(-LEAST_GT // scale)), alike):
                    return None
        lines.append(pair.line)
    if not lines:
        return None
    options = {**copy.deepcopy(dict(section)), **{key: str(folder / key) for key in roots}}
    if section.get('meta_info_file') is not None:
        options['meta_info_file'] = str(folder / 'meta_info.txt')
        Path(options['meta_info_file']).write_text('\n'.join(lines), encoding='utf-8')
    return options


def _write_crop(path: str, target: Path, factor: int, least: int, alike: bool) -> bool:
    """Write the corner of a frame; of a GT frame, what is more than the multiple of its LQ frame stays."""
    image = cv2.imread(path, cv2.IMREAD_UNCHANGED)
    if image is None:
        return False
    height, width = (crop_of(edge // factor, least, alike) * factor + edge % factor for edge in image.shape[:2])
    target.parent.mkdir(parents=True, exist_ok=True)
    return bool(cv2.imwrite(str(target), image[:height, :width]))


class FirstSample:
    """First sample of a validation set of another package, cropped where it is a pair of GT and LQ.

    Args:
        dataset: The set, whose other attributes are passed on.
        scale: GT pixels per LQ pixel and axis.
        least: Smallest sample that the network takes.
    """

    def __init__(self, dataset: Any, scale: int, least: Least) -> None:
        self._dataset, self._scale, self._least = dataset, scale, least

    def __len__(self) -> int:
        return min(1, len(self._dataset))

    def __getattr__(self, name: str) -> Any:
        if name == '_dataset':  # not set yet: of a copy that is being made
            raise AttributeError(name)
        return getattr(self._dataset, name)

    def __getitem__(self, index: int) -> Any:
        sample = self._dataset[index]
        gt: Any
        lq: Any
        gt, lq = (sample.get(key) if isinstance(sample, dict) else None for key in ('gt', 'lq'))
        if getattr(gt, 'ndim', 0) < 3 or getattr(lq, 'ndim', 0) < 3:
            return sample
        if tuple(gt.shape[-2:]) != tuple(edge * self._scale for edge in lq.shape[-2:]):
            return sample
        least = max(self._least.size, -(-LEAST_GT // self._scale))
        height, width = (crop_of(int(edge), least) for edge in lq.shape[-2:])
        lq, gt = lq[..., :height, :width], gt[..., : height * self._scale, : width * self._scale]
        if lq.ndim == 4 and gt.ndim == 4 and len(lq) == len(gt):
            lq, gt = lq[: self._least.frames], gt[: self._least.frames]
        return {**sample, 'lq': lq.clone(), 'gt': gt.clone()}

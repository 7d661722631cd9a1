"""Comparison of the clips of a store with the roots that a training set names.

Where the store has a record of the files that a side of a clip was made from, files are compared. Pixels are compared
where it has none: in stores of earlier versions, and for LQ that was made from GT.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import cast

import numpy as np

from mg_basicsr.data.crops.crop import Flips, Pixels, Window
from mg_basicsr.data.listing.folders import IMAGES, in_order
from mg_basicsr.data.listing.frame_names import REDS_FRAMES, VIMEO_FRAMES, ImageNames
from mg_basicsr.data.listing.sequences import FrameSequence
from mg_basicsr.data.sources.byte_files import ByteFiles, LmdbFolder
from mg_basicsr.data.sources.image_files import EncodedSide
from mg_basicsr.data.store.format import Clip
from mg_basicsr.data.store.origins import ALLOWED, open_root, other_files, read_origins
from mg_basicsr.data.store.reader import StoreFrames
from mg_basicsr.errors import DataError, Problem
from mg_basicsr.parsing.places import visible
from mg_basicsr.train_set import BLOCK, TrainSetOptions

OPTIONS = {'gt': 'dataroot_gt', 'lq': 'dataroot_lq'}  # by side


def differences_of_roots(store: StoreFrames, options: TrainSetOptions, names: Sequence[str]) -> list[Problem]:
    """Compare some clips with the roots that a training set names, as far as these exist.

    Args:
        store: The store.
        options: The set's options.
        names: Clips to compare.

    Returns:
        A problem per clip and side whose frames in these roots are others than those of the store.
    """
    wanted, recorded = set(names), read_origins(store.root)
    problems = []
    for clip in (clip for clip in store.clips if clip.name in wanted):
        sides = recorded.get(clip.name, {})
        for side, option in OPTIONS.items():
            place = getattr(options, option)
            if not os.path.isdir(place):
                continue
            files = open_root(place, f'{BLOCK}.{option}')
            try:
                if side in sides:
                    wrong = other_files(sides[side], files)
                else:
                    wrong = other_pixels(store, clip, side, files, options.filename_tmpl)
            except OSError as error:
                wrong = str(error.strerror or error)
            if wrong:
                problems.append(_problem(store, clip.name, side, place, wrong))
    return problems


def _problem(store: StoreFrames, name: str, side: str, place: str, wrong: str) -> Problem:
    made, option = store.header.degradation, f'{BLOCK}.{OPTIONS[side]}'
    if side == 'lq' and made != 'files':
        what = f'the LQ frames of clip {name} were made from GT ({made}), and {place} has others: {wrong}'
        remedy = f'correct {option}, or prepare the store again without --degradation to train from its frames'
    else:
        what = f'clip {name} was made from other {side.upper()} frames than {place} has: {wrong}'
        remedy = f'correct {option}, or prepare the store again from these frames'
    return Problem(f'store {store.root}', what, ALLOWED, remedy)


def stored_frame(store: StoreFrames, sequence: FrameSequence, side: str, number: int, size: tuple[int, int]) -> Pixels:
    """Return a whole frame of a store, uint8 (h, w, 3), RGB.

    Args:
        store: The store.
        sequence: The clip.
        side: 'gt' or 'lq'.
        number: The frame, from 0.
        size: Height and width in pixels, at most those of the frame.

    Raises:
        DataError: the clip is damaged, or has no GT of this frame.
    """
    read = store.read_gt if side == 'gt' else store.read_lq
    planes = np.empty((1, 3, *size), np.uint8)
    read(sequence, [number], Window(0, 0, *size), Flips(), planes)
    return cast(Pixels, planes[0].transpose(1, 2, 0))


def other_pixels(store: StoreFrames, clip: Clip, side: str, files: ByteFiles, template: str) -> str:
    """Compare the first and the middle frame of a clip with those of a root; empty if they are the same.

    Args:
        store: The store.
        clip: A clip of it.
        side: 'gt' or 'lq'.
        files: The root.
        template: Format of the stem of LQ images, from that of GT images.

    Returns:
        What differs, or which frame is not there; empty too for LQ that was made and of which the root has nothing.
    """
    held = clip.geometry.with_gt if side == 'gt' else range(clip.geometry.frames)
    for at in sorted({0, len(held) // 2}):
        name = _name(files, clip.sequence, held[at], (at, len(held)), side, template)
        try:
            wrong = _difference(store, clip, side, held[at], files, name)
        except DataError as error:
            missing = name in files.missing([name])
            made = store.header.degradation != 'files'
            wrong = '' if missing and made and _nothing_there(files, name) else error.problems[0].what
        if wrong:
            return wrong
    return ''


def _difference(store: StoreFrames, clip: Clip, side: str, frame: int, files: ByteFiles, name: str) -> str:
    """Return how a frame differs from that in the store.

    Raises:
        DataError: one of them cannot be read.
    """
    scale = store.header.scale
    height, width = clip.geometry.height, clip.geometry.width
    if side == 'lq':
        height, width = height // scale, width // scale
    there = EncodedSide(side.upper(), files).decode(clip.sequence, name, None)[:, :, ::-1]
    # GT of which LQ was made is cut to whole LQ pixels
    spare = scale if side == 'gt' else 1
    if not (0 <= there.shape[0] - height < spare and 0 <= there.shape[1] - width < spare):
        return f'{files.place(name)} has {there.shape[0]}x{there.shape[1]} pixels, the store {height}x{width}'
    stored = stored_frame(store, clip.sequence, side, frame, (height, width))
    off = np.abs(there[:height, :width].astype(np.int16) - stored)
    if not off.any():
        return ''
    share = np.count_nonzero(off.any(axis=2)) / (height * width)
    return f'{files.place(name)} has other pixels: {share:.1%} of them, by up to {off.max()} of 255'


def _nothing_there(files: ByteFiles, name: str) -> bool:
    """Return whether a root has nothing in place of a frame: no LQ, or only GT was ever there."""
    if isinstance(files, LmdbFolder):
        return files.count() == 0
    return not visible(os.path.dirname(files.place(name)))


def _name(
    files: ByteFiles, sequence: FrameSequence, frame: int, position: tuple[int, int], side: str, template: str
) -> str:
    """Return the name of a frame in a root: as BasicSR's classes name it, or else by its place among the clip's images.

    Args:
        files: The root.
        sequence: The clip.
        frame: The frame, from 0.
        position: Its place among the frames of this side, and how many these are.
        side: 'gt' or 'lq'.
        template: Format of the stem of LQ images.
    """
    image = ImageNames(template)
    usual = [names.gt(sequence.name, frame) for names in (REDS_FRAMES, VIMEO_FRAMES)]
    if sequence.frames == 1:
        usual = [image.lq(sequence.name, 0) if side == 'lq' else sequence.name, sequence.name, *usual]
    names = [_key_or_file(files, name) for name in usual]
    there = [name for name in names if not files.missing([name])]
    if there:
        return there[0]
    found = _images_of(files, sequence)
    return found[position[0]] if len(found) == position[1] else names[0]


def _key_or_file(files: ByteFiles, name: str) -> str:
    stem, extension = os.path.splitext(name)
    if isinstance(files, LmdbFolder):
        return stem if extension.lower() in IMAGES else name
    return name if extension.lower() in IMAGES else f'{name}.png'


def _images_of(files: ByteFiles, sequence: FrameSequence) -> Sequence[str]:
    if isinstance(files, LmdbFolder) or sequence.frames == 1:
        return ()
    images = [name for name in visible(files.place(sequence.name)) if name.lower().endswith(IMAGES)]
    return [f'{sequence.name}/{name}' for name in sorted(images, key=in_order)]

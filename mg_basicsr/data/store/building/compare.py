"""Comparison of the clips of a store with what they are, or would be, made from."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from mg_basicsr.data.listing.sequences import first_of
from mg_basicsr.data.store.building.material import Material
from mg_basicsr.data.store.format import Header, clip_path, read_header, read_list
from mg_basicsr.data.store.origins import ALLOWED, difference, read_origins
from mg_basicsr.data.store.reader import StoreFrames
from mg_basicsr.data.store.root_comparison import stored_frame
from mg_basicsr.errors import DataError, Problem


def check_origins(root: Path, header: Header, material: Sequence[Material]) -> int:
    """Check that the clips that are in a store already were made from the frames that are there now.

    Args:
        root: Folder of the store.
        header: Its header.
        material: Sources of the clips.

    Returns:
        The number of clips in the store whose origin is not recorded.

    Raises:
        DataError: some were made from other frames; names the first five, and how many more.
    """
    clips, _ = read_list(root, read_header(root))
    recorded = read_origins(root) if clips else {}
    problems: list[Problem] = []
    unknown = 0
    for part in material:
        for clip in part.clips:
            path = clip_path(root, clip.name)
            if clip.name not in clips or not path.exists():  # to be made
                continue
            if clip.name not in recorded:
                unknown += 1
                continue
            try:
                found = difference(root, path, clip.name, recorded[clip.name], part.origin(clip.name))
            except OSError as error:
                what = f'clip {clip.name}: {error.filename or ""} {error.strerror or error}'
                found = Problem(f'store {root}', what, ALLOWED, 'restore the frame, or leave the clip out')
            problems += [found] if found else []
    if problems:
        raise DataError(*first_of(problems, 'of this kind'))
    return unknown


def compare(root: Path, header: Header, material: Material, wanted: Collection[str]) -> list[Problem]:
    """Compare the pixels of clips with their sources, up to the first difference.

    Args:
        root: Folder of the store.
        header: Its header.
        material: Source of the clips.
        wanted: Names of the clips to compare.
    """
    store = StoreFrames(root)
    try:
        for sequence, frames in material.open(wanted):
            for number, pair in enumerate(frames):
                for side, frame in (('gt', pair.gt), ('lq', pair.lq)):
                    if frame is None:
                        continue
                    if not np.array_equal(stored_frame(store, sequence, side, number, frame.shape[:2]), frame):
                        return [_other_pixels(root, sequence.name, side, number)]
    except DataError as error:
        return list(error.problems)
    return []


def _other_pixels(root: Path, name: str, side: str, number: int) -> Problem:
    what = f'{side.upper()} frame {number} has other pixels than the frame that it was made from'
    remedy = f'delete {clip_path(root, name)} and run the command again to make the clip anew'
    return Problem(f'store {root}, clip {name}', what, ALLOWED, remedy)

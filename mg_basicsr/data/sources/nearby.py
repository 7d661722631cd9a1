"""Description, for messages, of the files found in place of a missing frame, with the remedy."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from mg_basicsr.data.listing.folders import ARCHIVES, IMAGES, VIDEOS, is_system_file

SHOWN = 2  # names
MOST_SEARCHED = 20  # folders in one
PREPARE = '`mg-basicsr prepare --gt GT --lq LQ -o STORE` takes frames of any names, in the order of their numbers'


class Nearby(NamedTuple):
    """Description for a message; empty where only this file is missing.

    Attributes:
        there: Files that were found.
        remedy: What the user can do.
    """

    there: str = ''
    remedy: str = ''


def nearby(root: str, path: str, option: str, frames: int) -> Nearby:
    """Describe what is in the folder of a missing frame, or else in the root.

    Args:
        root: Root of the side.
        path: The file that was looked for.
        option: Option that names the root.
        frames: Frames that the clip is to have.
    """
    folder, name = os.path.split(path)
    images = [entry for entry in _entries(folder) if entry.lower().endswith(IMAGES)]
    if images:
        return _other_names(folder, name, images, frames)
    if not os.path.isdir(folder):
        return _other_root(root, option, os.path.relpath(folder, root))
    entries = _entries(folder)
    videos = [entry for entry in entries if entry.lower().endswith(VIDEOS)]
    remedy = f'make a folder of its frames of {videos[0]}' if videos else ''
    return Nearby(f'{folder} has no images, but {_shown(entries)}' if entries else f'{folder} is empty', remedy)


def _other_names(folder: str, name: str, images: list[str], frames: int) -> Nearby:
    stem, extension = os.path.splitext(name)
    alike = [image for image in images if len(image) == len(name) and image.endswith(extension)]
    if alike and len(images) < frames:
        return Nearby()  # names are as they should be: this file is lost
    same = [image for image in images if os.path.splitext(image)[0].startswith(stem)] if frames == 1 else images
    if not same:
        return Nearby()
    return Nearby(f'{folder} has {_shown(same)}', PREPARE + ', or rename them')


def _other_root(root: str, option: str, clip: str) -> Nearby:
    """Describe a root that lacks the folder of a clip."""
    entries = _entries(root)
    if 'data.mdb' in entries:
        return Nearby(f'{root} is an LMDB', 'set datasets.train.io_backend.type: lmdb')
    if 'store.json' in entries:
        return Nearby(
            f'{root} is a crop store', f'set multigrid.store: {root}, and {option} to the folder of the frames'
        )
    inner = _inner(root, clip, entries)
    if inner:
        return Nearby(f'{root} has {_shown(entries)}, and {clip} is in {inner}', f'set {option} to {inner}')
    videos = [entry for entry in entries if entry.lower().endswith(VIDEOS)]
    if videos:
        first = os.path.join(root, videos[0])
        command = f'`mg-basicsr prepare --gt {first} ... --degradation bicubic -o STORE`'
        return Nearby(f'{root} has videos: {_shown(videos)}', f'make a store of them: {command}')
    archives = [entry for entry in entries if entry.lower().endswith(ARCHIVES)]
    if archives:
        return Nearby(f'{root} has archives: {_shown(archives)}', 'unpack them, each to a folder of frames')
    images = [entry for entry in entries if entry.lower().endswith(IMAGES)]
    if images:
        parent = os.path.dirname(os.path.abspath(root))
        what = f'{root} has images and no folder of that clip: {_shown(images)}'
        return Nearby(what, f'set {option} to the folder that holds the folders of the clips, such as {parent}')
    if not entries:
        return Nearby(f'{root} is empty')
    meant = _as_folder(root, clip, entries)
    remedy = f'name the clips in datasets.train.meta_info_file as the folders are: {meant}' if meant else ''
    return Nearby(f'{root} has {_shown(entries)}', remedy)


def _inner(root: str, clip: str, entries: list[str]) -> str:
    """Return the folder in a root, or in a folder of it, that has the folder of a clip; empty if none is found."""
    first = clip.split('/')[0]
    below = [os.path.join(root, entry) for entry in entries[:MOST_SEARCHED]]
    below += [os.path.join(folder, entry) for folder in below for entry in _entries(folder)[:MOST_SEARCHED]]
    return next((folder for folder in below if os.path.isdir(os.path.join(folder, first))), '')


def _as_folder(root: str, clip: str, entries: list[str]) -> str:
    """Return how a clip seems to be called in a root: 001 or clip_1 for train/001 or 001; empty if it is not there."""
    parts = clip.split('/')
    for name in ('/'.join(parts[n:]) for n in range(1, len(parts))):
        if os.path.isdir(os.path.join(root, name)):
            return name
    wanted = _numbers(os.path.splitext(clip)[0])
    return next((entry for entry in entries if wanted and _numbers(entry) == wanted), '')


def _numbers(name: str) -> list[int]:
    return [int(number) for number in re.findall(r'\d+', name)]


def _entries(folder: str) -> list[str]:
    try:
        return sorted(entry for entry in os.listdir(folder) if not is_system_file(entry))
    except OSError:
        return []


def _shown(names: list[str]) -> str:
    rest = len(names) - SHOWN
    return ', '.join(names[:SHOWN]) + (f' and {rest} more' if rest > 0 else '')

"""Description, for messages, of the files found in place of a missing frame, with the remedy."""

from __future__ import annotations

import os
from typing import NamedTuple

from mg_basicsr.data.listing.folders import IMAGES, VIDEOS, is_system_file

SHOWN = 2  # names
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
        return _other_root(root, option)
    return Nearby(f'{folder} has no images')


def _other_names(folder: str, name: str, images: list[str], frames: int) -> Nearby:
    stem, extension = os.path.splitext(name)
    alike = [image for image in images if len(image) == len(name) and image.endswith(extension)]
    if alike and len(images) < frames:
        return Nearby()  # names are as they should be: this file is lost
    same = [image for image in images if os.path.splitext(image)[0].startswith(stem)] if frames == 1 else images
    if not same:
        return Nearby()
    return Nearby(f'{folder} has {_shown(same)}', PREPARE + ', or rename them')


def _other_root(root: str, option: str) -> Nearby:
    entries = _entries(root)
    if 'data.mdb' in entries:
        return Nearby(f'{root} is an LMDB', 'set datasets.train.io_backend.type: lmdb')
    videos = [entry for entry in entries if entry.lower().endswith(VIDEOS)]
    if videos:
        first = os.path.join(root, videos[0])
        command = f'`mg-basicsr prepare --gt {first} ... --degradation bicubic -o STORE`'
        return Nearby(f'{root} has videos: {_shown(videos)}', f'make a store of them: {command}')
    images = [entry for entry in entries if entry.lower().endswith(IMAGES)]
    if images:
        parent = os.path.dirname(os.path.abspath(root))
        what = f'{root} has images and no folder of that clip: {_shown(images)}'
        return Nearby(what, f'set {option} to the folder that holds the folders of the clips, such as {parent}')
    return Nearby(f'{root} has {_shown(entries)}' if entries else f'{root} is empty')


def _entries(folder: str) -> list[str]:
    try:
        return sorted(entry for entry in os.listdir(folder) if not is_system_file(entry))
    except OSError:
        return []


def _shown(names: list[str]) -> str:
    rest = len(names) - SHOWN
    return ', '.join(names[:SHOWN]) + (f' and {rest} more' if rest > 0 else '')

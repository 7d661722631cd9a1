"""Listing of the images below a folder: every entry is either listed, skipped with a reason, or a problem."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from mg_basicsr.errors import Problem

IMAGES = ('.png', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff', '.webp')
VIDEOS = ('.mp4', '.mkv', '.mov', '.avi', '.webm', '.m4v', '.mpg', '.mpeg', '.ts', '.y4m')
# Files and folders that systems and archives put beside data, in lower case.
SYSTEM_NAMES = frozenset({
    '__macosx', '@eadir', '#recycle', '#snapshot', '$recycle.bin', 'system volume information', 'lost+found',
    'thumbs.db', 'ehthumbs.db', 'desktop.ini', 'icon\r', '__pycache__',
})  # fmt: skip


@dataclass
class Listing:
    """Names found below a folder.

    Attributes:
        names: Paths of images relative to the folder, with /, in the order of the numbers in them.
        skipped: Entries that were left out on purpose, with the reason.
        problems: Folders that cannot be read.
    """

    names: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def list_images_below(root: str, option: str) -> Listing:
    """List the images below a folder. Links to folders are followed, as training does; one that leads back is skipped.

    Args:
        root: The folder.
        option: Option that names it, for messages.
    """
    listing = Listing()
    for name in _walk(root, '', option, listing, ()):
        if name.lower().endswith(IMAGES):
            listing.names.append(name)
        else:
            listing.skipped.append(f'{os.path.join(root, name)}: not an image')
    listing.names.sort(key=in_order)
    return listing


def _walk(root: str, below: str, option: str, listing: Listing, parents: tuple[str, ...]) -> Iterator[str]:
    folder = os.path.join(root, below) if below else root
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        what = f'{folder} cannot be listed: {error.strerror}'
        listing.problems.append(Problem(option, what, 'allowed: folders that can be read', 'change its permissions'))
        return
    parents = (*parents, os.path.realpath(folder))
    for entry in entries:
        name = f'{below}/{entry.name}' if below else entry.name
        if is_system_file(entry.name):
            listing.skipped.append(f'{entry.path}: hidden, or put there by the system')
        elif is_folder(entry):
            if os.path.realpath(entry.path) in parents:
                listing.skipped.append(f'{entry.path}: a link to a folder that it is in')
            else:
                yield from _walk(root, name, option, listing, parents)
        elif is_file(entry):
            yield name
        else:
            listing.skipped.append(f'{entry.path}: neither a file nor a folder, or a link to nothing')


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a folder, or a link to one. A link in a circle is nothing."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def is_file(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a regular file, or a link to one. A link in a circle is nothing."""
    try:
        return entry.is_file()
    except OSError:
        return False


def is_system_file(name: str) -> bool:
    """Return whether a name is that of a hidden file or folder, or of one that a system puts beside data."""
    return name.startswith('.') or name.lower() in SYSTEM_NAMES


def in_order(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts im2 before im10."""
    parts = re.split(r'(\d+)', name)
    return [(int(part), '') if part.isdecimal() else (0, part) for part in parts]


def gap(frames: Sequence[str]) -> str:
    """Describe the first gap or repetition in the numbers of a clip's frames; empty if they have one distance.

    The number is the part of the name that varies. Where several parts vary, or none, nothing is said.

    >>> gap(['0x4.png', '1x4.png', '4x4.png'])
    'has no frame between 1x4.png and 4x4.png'
    >>> gap(['0.png', '2.png', '4.png'])
    ''
    """
    names = [os.path.basename(name) for name in frames]
    found = [[int(number) for number in re.findall(r'\d+', os.path.splitext(name)[0])] for name in names]
    if len({len(numbers) for numbers in found}) != 1:
        return ''
    varying = [values for values in zip(*found, strict=True) if len(set(values)) > 1]
    if len(varying) != 1:
        return ''
    steps = [after - before for before, after in pairwise(varying[0])]
    for (before, after), step in zip(pairwise(names), steps, strict=True):
        if step == 0:
            return f'has two frames of one number, {before} and {after}'
        if step != min(filter(None, steps)):
            return f'has no frame between {before} and {after}'
    return ''

"""Listing of the images below a folder: every entry is either listed, skipped with a reason, or a problem."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from mg_basicsr.errors import Problem

IMAGES = ('.png', '.jpg', '.jpeg', '.jpe', '.bmp', '.dib', '.tif', '.tiff', '.webp', '.ppm', '.pgm', '.pnm', '.jp2')
VIDEOS = ('.mp4', '.mkv', '.mov', '.avi', '.webm', '.m4v', '.mpg', '.mpeg', '.ts', '.y4m')
ARCHIVES = ('.zip', '.tar', '.gz', '.tgz', '.bz2', '.xz', '.zst', '.7z', '.rar')
# What downloads add to a name until they are whole
PARTIAL = ('.part', '.partial', '.crdownload', '.download', '.filepart', '.tmp', '.aria2')
FRAMES = 2  # files with numbers in their names that are taken for the frames of a clip
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
        problems: Folders that cannot be read, links to nothing, and what seems to be a clip and has no images.
        incomplete: Folders, relative to the listed one, that lack a frame.
    """

    names: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    incomplete: set[str] = field(default_factory=set)

    def lost(self, option: str, what: str, remedy: str) -> None:
        """Add a problem of something that seems to be a clip, or a frame of one, and cannot be read.

        Args:
            option: See `Problem`, as for the others.
            what: What is wrong with which file or folder.
            remedy: What the user can do, beside passing --allow-missing.
        """
        allowed = 'allowed: images, all of which can be read'
        self.problems.append(Problem(option, what, allowed, f'{remedy}, or pass --allow-missing'))


def list_images_below(root: str, option: str, clips: bool = True) -> Listing:
    """List the images below a folder. Links to folders are followed, as training does; one that leads back is skipped.

    Args:
        root: The folder.
        option: Option that names it, for messages.
        clips: Whether each folder in it is to be a clip, and one without images a clip that is missing.
    """
    listing = Listing()
    for name in _walk(root, '', option, listing, (), clips):
        if name.lower().endswith(IMAGES):
            listing.names.append(name)
        else:
            listing.skipped.append(f'{os.path.join(root, name)}: not an image')
    listing.names.sort(key=in_order)
    return listing


def _walk(root: str, below: str, option: str, listing: Listing, parents: tuple[str, ...], clips: bool) -> Iterator[str]:
    folder = os.path.join(root, below) if below else root
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        what = f'{folder} cannot be listed: {error.strerror}'
        listing.problems.append(Problem(option, what, 'allowed: folders that can be read', 'change its permissions'))
        return
    parents = (*parents, os.path.realpath(folder))
    files, folders = [], []
    for entry in entries:
        name = f'{below}/{entry.name}' if below else entry.name
        if is_system_file(entry.name):
            listing.skipped.append(f'{entry.path}: hidden, or put there by the system')
        elif is_folder(entry):
            folders.append(entry.name)
            if os.path.realpath(entry.path) in parents:
                listing.skipped.append(f'{entry.path}: a link to a folder that it is in')
            else:
                yield from _walk(root, name, option, listing, parents, clips)
        elif is_file(entry):
            files.append(entry.name)
            yield name
        elif leads_nowhere(entry):
            listing.lost(option, f'{entry.path} is a link to {_target(entry)}, which does not exist', 'restore it')
            listing.incomplete.add(below)
        else:
            listing.skipped.append(f'{entry.path}: neither a file nor a folder')
    if clips:
        _look_for_lost(folder, below, files, folders, option, listing)


def _look_for_lost(
    folder: str, below: str, files: list[str], folders: list[str], option: str, listing: Listing
) -> None:
    """Add a problem for what seems to be a clip, or a frame of one, and is no image."""
    others = [name for name in files if not name.lower().endswith(IMAGES)]
    numbered = [name for name in others if re.search(r'\d', os.path.splitext(name)[0])]
    if below and not folders and not files and below not in listing.incomplete:
        listing.lost(option, f'{folder} is empty', 'restore its frames, or remove it')
    elif below and not folders and len(others) == len(files) and len(numbered) >= FRAMES:
        shown = f'{len(numbered)} files such as {numbered[0]}'
        listing.lost(option, f'{folder} has no images, but {shown}', 'convert them to PNG, or remove the folder')
        return
    for name in others:
        path, (stem, extension) = os.path.join(folder, name), os.path.splitext(name)
        if extension.lower() in PARTIAL and stem.lower().endswith(IMAGES) and stem not in files:
            listing.lost(option, f'{path} is a part of a download', 'download it again')
            listing.incomplete.add(below)
        elif name.lower().endswith((*ARCHIVES, *VIDEOS)) and _is_among(name.partition('.')[0], folders):
            kind = 'a video' if name.lower().endswith(VIDEOS) else 'an archive'
            listing.lost(
                option, f'{path} has a name like those of the clips, and is {kind}', 'make a folder of its frames'
            )


def _is_among(stem: str, folders: list[str]) -> bool:
    """Return whether a name is that of no folder and, but for the digits, as those of the folders are."""
    pattern, others = re.sub(r'\d', '0', stem), [re.sub(r'\d', '0', name) for name in folders]
    return bool(re.search(r'\d', stem)) and stem not in folders and pattern in others


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


def leads_nowhere(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a link to something that does not exist. A link in a circle leads to itself."""
    try:
        os.stat(entry.path)
    except OSError as error:
        return entry.is_symlink() and error.errno != errno.ELOOP
    return False


def _target(entry: os.DirEntry[str]) -> str:
    try:
        return os.readlink(entry.path)
    except OSError:
        return 'another place'


def is_system_file(name: str) -> bool:
    """Return whether a name is that of a hidden file or folder, or of one that a system puts beside data."""
    return name.startswith('.') or name.lower() in SYSTEM_NAMES


def in_order(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts im2 before im10."""
    parts = re.split(r'(\d+)', name)
    return [(int(part), '') if part.isdecimal() else (0, part) for part in parts]


def gap(frames: Sequence[str]) -> str:
    """Describe the first gap or repetition in the numbers of a clip's frames; empty if they have one distance.

    The number is the part of the name that varies. Where several do, as with a time in the name, it is one that grows
    from frame to frame; where none does, nothing is said. Times are rounded, so that their distances vary a little.

    >>> gap(['0x4.png', '1x4.png', '4x4.png'])
    'has no frame between 1x4.png and 4x4.png'
    >>> gap(['0.png', '2.png', '4.png'])
    ''
    """
    names = [os.path.basename(name) for name in frames]
    found = [[int(number) for number in re.findall(r'\d+', os.path.splitext(name)[0])] for name in names]
    if len({len(numbers) for numbers in found}) != 1:
        return ''
    steps = [[b - a for a, b in pairwise(values)] for values in zip(*found, strict=True) if len(set(values)) > 1]
    if len(steps) > 1:  # numbers of frames beside times: all of them grow
        steps = [column for column in steps if min(column) > 0]
    if not steps or any(len(set(column)) == 1 for column in steps) or min(map(min, steps)) < 0:
        return ''
    column = min(steps, key=sum)  # the frames' numbers, where there are times as well
    least = min(filter(None, column))
    for (before, after), step in zip(pairwise(names), column, strict=True):
        if step == 0:
            return f'has two frames of one number, {before} and {after}'
        if 2 * step >= 3 * least:  # times in whole milliseconds differ by one
            return f'has no frame between {before} and {after}'
    return ''

"""Roots that a store is made from, folders or LMDBs: the images in them, and what is wrong with a root as a whole."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from mg_basicsr.data.listing.folders import ARCHIVES, VIDEOS, Listing, in_order, list_images_below
from mg_basicsr.data.listing.meta_files import read_lmdb_keys
from mg_basicsr.data.sources.byte_files import DATA, Folder, LmdbFolder
from mg_basicsr.data.sources.image_files import EncodedSide
from mg_basicsr.errors import ConfigError, Problem


class Root(NamedTuple):
    """Root of one side.

    Attributes:
        path: The folder.
        side: Its images.
        listing: Their names.
    """

    path: str
    side: EncodedSide
    listing: Listing


def open_roots(gt: str, lq: str | None, images: bool, allow_missing: bool) -> tuple[Root, Root | None]:
    """Open and list the roots of both sides.

    Args:
        gt: Root of GT.
        lq: Root of LQ; None where LQ is made.
        images: Every image is a clip.
        allow_missing: Whether clips are listed that lack a frame.

    Raises:
        ConfigError: A root does not exist, or is no LMDB; both are in one error.
        DataError: The list of an LMDB cannot be read.
    """
    problems: list[Problem] = []
    sides = []
    for label, path, option in (('GT', gt, '--gt'), ('LQ', lq, '--lq')):
        try:
            sides.append(EncodedSide(label, _files(path, option)) if path else None)
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(*problems)
    gt_side, lq_side = sides
    assert gt_side is not None
    roots = [
        Root(path, side, _listed(path, option, images, allow_missing)) if path and side else None
        for path, side, option in ((gt, gt_side, '--gt'), (lq, lq_side, '--lq'))
    ]
    assert roots[0] is not None
    return roots[0], roots[1]


def _listed(root: str, option: str, images: bool, allow_missing: bool) -> Listing:
    if _is_lmdb(root):
        return _listed_keys(root, option)
    listing = list_images_below(root, option, not images)
    if not allow_missing and not images:
        listing.names = [name for name in listing.names if os.path.dirname(name) not in listing.incomplete]
    return listing


def _listed_keys(root: str, option: str) -> Listing:
    """Return the keys that the list of an LMDB has, and a problem if the LMDB has more."""
    path = os.path.join(root, 'meta_info.txt')
    listing = Listing(sorted(read_lmdb_keys(path, option), key=in_order))
    try:
        there = LmdbFolder(root, option).count()
    except OSError as error:
        what = f'{root} cannot be read: {error}'
        listing.problems.append(Problem(option, what, 'allowed: a whole LMDB', 'copy it again'))
        return listing
    if there > len(listing.names):
        listing.lost(option, f'{path} lists {len(listing.names)} keys of {there} in the LMDB', 'restore its list')
    return listing


def no_clips(gt: str, groups: Mapping[str, Sequence[str]]) -> Problem:
    """Return the problem of a root that has no clips: it may hold videos or archives, or be the folder of one clip.

    Args:
        gt: The root.
        groups: Names of its images by clip; '' for those in no folder.
    """
    what, remedy = 'no images', 'give the folder of the clips, or an LMDB with its meta_info.txt'
    entries = [] if groups else sorted(os.listdir(gt))
    videos = [name for name in entries if name.lower().endswith(VIDEOS)]
    archives = [name for name in entries if name.lower().endswith(ARCHIVES)]
    if groups:
        what = f'images that are in no clip, such as {groups[""][0]}'
        remedy = f'use --layout images, or give the folder that holds the clips, {os.path.dirname(os.path.abspath(gt))}'
    elif videos:
        what = f'no images, but {len(videos)} videos such as {videos[0]}'
        remedy = f'name the videos themselves: --gt {os.path.join(gt, videos[0])} ... --degradation bicubic'
    elif archives:
        what = f'no images, but {len(archives)} archives such as {archives[0]}'
        remedy = 'unpack them, each to a folder of frames'
    return Problem(f'--gt {gt}', what, 'allowed: one folder per clip, with its frames in it', remedy)


def inside_others(names: Iterable[str]) -> dict[str, str]:
    """Return the clips in the folder of another, each with that other: previews and trash, more often than clips.

    >>> inside_others(['000', '000/thumbs', '001', 'x/y'])
    {'000/thumbs': '000'}

    Args:
        names: Names of all clips.
    """
    known, found = set(names), {}
    for name in sorted(known):
        parts = name.split('/')
        above = [other for n in range(1, len(parts)) if (other := '/'.join(parts[:n])) in known]
        if above:
            found[name] = above[-1]
    return found


def _files(root: str, option: str) -> LmdbFolder | Folder:
    return LmdbFolder(root, option) if _is_lmdb(root) else Folder(root, option)


def _is_lmdb(root: str) -> bool:
    return root.rstrip('/').endswith('.lmdb') or os.path.isfile(os.path.join(root, DATA))

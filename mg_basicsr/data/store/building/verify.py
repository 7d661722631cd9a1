"""Verification that the files of a store are unchanged."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from mg_basicsr.data.listing.sequences import first_of
from mg_basicsr.data.store.building.writer import sha256
from mg_basicsr.data.store.clip_file import open_regular
from mg_basicsr.data.store.format import CONTINUE, clip_path, read_header, read_list
from mg_basicsr.errors import DataError, Problem


def verify(root: Path, progress: Callable[[int, int], None] | None = None, differ: Sequence[Problem] = ()) -> int:
    """Read all files and compare their checksums.

    Args:
        root: Folder of the store.
        progress: Called with (clips done, clips) after each.
        differ: Problems that are known already, reported with the others.

    Returns:
        The number of clips.

    Raises:
        DataError: files or lines of the list are damaged or missing; names the first five, and how many more.
    """
    clips, problems = read_list(root, read_header(root))
    problems += differ
    for done, clip in enumerate(clips.values(), 1):
        path = clip_path(root, clip.name)
        wrong = _wrong(root, path, clip.sha256)
        if wrong:
            problems.append(
                Problem(
                    f'store {root}, clip {clip.name}',
                    f'{path} {wrong}',
                    'allowed: the file that was written',
                    f'delete it and {CONTINUE}',
                )
            )
        if progress:
            progress(done, len(clips))
    if problems:
        raise DataError(*first_of(problems, 'of this kind'))
    return len(clips)


def _wrong(root: Path, path: Path, expected: str) -> str:
    try:
        descriptor = open_regular(root, path)
    except ValueError as error:
        return str(error)
    except OSError as error:
        return f'cannot be read: {error.strerror}'
    try:
        return '' if sha256(descriptor) == expected else 'has changed: its checksum is not the one listed'
    except OSError as error:
        return f'cannot be read: {error.strerror}'
    finally:
        os.close(descriptor)

"""Record of what the clips of a store were made from, and its comparison with the frames that are there now.

`origins.jsonl` is stored beside the list of clips, which it does not change: stores without it can be read as before.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mg_basicsr.data.sources.byte_files import DATA, ByteFiles, Folder, LmdbFolder
from mg_basicsr.data.sources.origin import Origin, Sampled, changed, head_hash
from mg_basicsr.data.store.clip_file import read_file
from mg_basicsr.errors import Problem

ORIGINS = 'origins.jsonl'
MOST_LINE_BYTES = 1 << 16
ALLOWED = 'allowed: the frames that the store was made from'

Sides = Mapping[str, Origin]  # by side: gt, lq, or video


def origin_line(name: str, sides: Sides) -> str:
    """Return the line that records the origin of a clip, with its end.

    Args:
        name: Name of the clip.
        sides: Its origins by side.
    """
    values = {
        side: {**origin._asdict(), 'sample': [list(one) for one in origin.sample]} for side, origin in sides.items()
    }
    return json.dumps({'name': name, **values}, ensure_ascii=False) + '\n'


def read_origins(root: Path) -> dict[str, Sides]:
    """Return the recorded origins by clip; later lines hold. Damaged lines record nothing."""
    return dict(_lines(root))


def difference(root: Path, clip_file: Path, name: str, then: Sides, now: Sides) -> Problem | None:
    """Compare the recorded origin of a clip with the frames that it would be made from now.

    Args:
        root: Folder of the store.
        clip_file: File of the clip.
        name: Name of the clip.
        then: Its recorded origins by side.
        now: Those of the frames that are there.
    """
    for side in sorted({*then, *now}):
        if side not in then or side not in now:
            wrong = f'{side} is {"not " if side in now else ""}among what it was made from'
        else:
            wrong = changed(then[side], now[side])
            wrong = f'{side.upper()}: {wrong}' if wrong else ''
        if wrong:
            remedy = f'delete {clip_file} and run the command again to make the clip anew, or give another folder'
            return Problem(f'store {root}', f'clip {name} was made from other frames: {wrong}', ALLOWED, remedy)
    return None


def other_files(then: Origin, files: ByteFiles) -> str:
    """Compare the recorded files of one side of a clip with those of a root; empty if they are the same.

    Args:
        then: The recorded origin.
        files: The root.
    """
    for sampled in then.sample:
        name = _name_in(files, sampled.name)
        try:
            if files.size_and_time(name)[0] != sampled.bytes:
                return f'{files.place(name)} has another size'
            if head_hash(files, name) != sampled.sha256:
                return f'{files.place(name)} has changed'
        except OSError as error:
            return f'{files.place(name)}: {error.strerror or error}'
    return ''


def open_root(root: str, option: str) -> ByteFiles:
    """Return the files of an existing folder or LMDB.

    Args:
        root: The folder.
        option: Dotted path of the option that names it.
    """
    return LmdbFolder(root, option) if os.path.isfile(os.path.join(root, DATA)) else Folder(root, option)


def _name_in(files: ByteFiles, name: str) -> str:
    """Return the name of a frame in other files: keys of LMDBs have no extension."""
    stem, extension = os.path.splitext(name)
    if isinstance(files, LmdbFolder):
        return stem if extension in ('.png', '.jpg') else name
    return name if extension else f'{name}.png'


def _lines(root: Path) -> Iterator[tuple[str, Sides]]:
    try:
        lines = read_file(root, root / ORIGINS).split(b'\n')
    except (OSError, ValueError):
        return
    for line in lines:
        try:
            values = json.loads(line) if len(line) <= MOST_LINE_BYTES else None
            if isinstance(values, dict) and isinstance(values.get('name'), str):
                yield values['name'], {side: _origin(values[side]) for side in ('gt', 'lq', 'video') if side in values}
        except (ValueError, TypeError, KeyError, RecursionError):  # damaged: as if it were not there
            continue


def _origin(values: Any) -> Origin:
    sample = tuple(
        Sampled(str(name), int(size), int(time), str(digest)) for name, size, time, digest in values['sample']
    )
    return Origin(str(values['root']), int(values['frames']), int(values['bytes']), int(values['newest']), sample)

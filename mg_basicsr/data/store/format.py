"""Files of a store: header, list and names. Everything read is checked. docs/store.md describes them byte for byte.

    store.json        properties of all clips; written first, never changed
    clips.jsonl       one line per clip, added when its file is whole
    clips/NAME.clip   pixels

All are plain data, JSON and bytes; nothing in them is executed. Values that were read have the right types and ranges.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from mg_basicsr.atomic_files import write_whole
from mg_basicsr.data.listing.sequences import FrameSequence
from mg_basicsr.data.store.clip_file import read_file
from mg_basicsr.data.store.layout import Geometry
from mg_basicsr.dataset_types import DEGRADATIONS
from mg_basicsr.errors import DataError, Problem
from mg_basicsr.parsing.places import Hint, hint, listed, visible

FORMAT = 'mg-basicsr store'
VERSION = 2
HEADER, LIST, CLIPS, META = 'store.json', 'clips.jsonl', 'clips', 'meta_info.txt'
CODECS = ('raw', 'zstd')
LQ_FROM = ('files', *DEGRADATIONS)

# Limits of what is read, so that a damaged number cannot ask for any amount of memory.
MOST_HEADER_BYTES = 1 << 16
MOST_LINE_BYTES = 1 << 12
MOST_PIXELS = 1 << 16  # of an edge
MOST_FRAMES = 1 << 24
MOST_SCALE = 64
MOST_BLOCK = 1 << 10
LINE = ('name', 'frames', 'height', 'width', 'gt_tile', 'lq_tile', 'bytes', 'sha256')
GT_FRAMES = 'gt_frames'  # of a line, where GT has fewer frames than LQ
TILES_OF_VERSION_1 = {'raw': ((80, 64), (64, 32)), 'zstd': ((64, 32),)}  # GT and LQ
WHOLE_PIXELS_OF_VERSION_1 = 512 * 512
SHA256 = re.compile(r'[0-9a-f]{64}')
# Parts of a name between slashes, without characters that an operating system could give another meaning.
PART = re.compile(r'[^/\\\x00-\x1f\x7f]{1,200}')
ANEW = 'prepare the store again, in another folder'
CONTINUE = 'run `mg-basicsr prepare` again with the same arguments: it makes what is missing'


@dataclass(frozen=True)
class Header:
    """Properties of all clips of a store.

    Attributes:
        scale: GT pixels per LQ pixel and axis.
        codec: 'raw' or 'zstd'.
        block: Frames that are compressed together; 0 if raw.
        degradation: Origin of LQ: 'files', or made from GT by 'bicubic' or 'bd'.
        version: Version of the format; lines of the list have checksums from 2 on.
    """

    scale: int
    codec: str = 'raw'
    block: int = 0
    degradation: str = 'files'
    version: int = field(default=VERSION, compare=False)


class Clip(NamedTuple):
    """Listed clip of a store.

    Attributes:
        name: Name of the sequence, and of the file below `clips/`.
        geometry: Layout of the file.
        bytes: Size of the file.
        sha256: SHA-256 of the file, 64 hexadecimal digits.
    """

    name: str
    geometry: Geometry
    bytes: int
    sha256: str

    @property
    def sequence(self) -> FrameSequence:
        """Clip as a sequence of a training set."""
        return FrameSequence(self.name, *self.geometry[:3])


def clip_path(root: Path, name: str) -> Path:
    """Return the file of a clip.

    Args:
        root: Folder of the store.
        name: Name of the clip, for which `is_name` holds.
    """
    return root / CLIPS / f'{name}.clip'


def is_name(name: object) -> bool:
    """Return whether this can be the name of a clip: a relative path, no part of which leaves the store."""
    if not isinstance(name, str) or len(name) > MOST_LINE_BYTES // 8:
        return False
    return all(PART.fullmatch(part) and part not in ('.', '..') for part in name.split('/'))


def write_header(root: Path, header: Header) -> None:
    """Write the header, whole or not at all.

    Args:
        root: Folder of the store.
        header: The header.
    """
    write_whole(root / HEADER, json.dumps({'format': FORMAT, **asdict(header), 'version': VERSION}, indent=2) + '\n')


def read_header(root: Path) -> Header:
    """Read and check the header.

    Raises:
        DataError: it is missing, damaged, or of a later version.
    """
    path = root / HEADER
    try:
        text = read_file(root, path, MOST_HEADER_BYTES + 1)
    except ValueError as error:
        _fail(path, str(error), 'a regular file')
    except OSError as error:
        found = in_place_of_a_store(root)
        raise DataError(
            Problem(
                '',
                f'{root} is not a store: {found.there or f"{path} cannot be read ({error.strerror})"}',
                'allowed: a folder made by `mg-basicsr prepare`',
                found.advice('correct the path, or prepare the store'),
            )
        ) from None
    values = _object(text) if len(text) <= MOST_HEADER_BYTES else None
    if values is None or values.get('format') != FORMAT or not _is(values.get('version'), 1, 1 << 30):
        _fail(path, 'is damaged: not the JSON header of a store')
    version = values['version']
    if version > VERSION:
        raise DataError(
            Problem(
                str(path),
                f'version {version}, made by a later version of mg-basicsr',
                f'allowed: version 1 to {VERSION}',
                f'update mg-basicsr, or {ANEW}',
            )
        )
    return _header(path, values)


def in_place_of_a_store(root: Path) -> Hint:
    """Describe what is at the path of a store, for messages."""
    if os.path.lexists(root / HEADER):
        return Hint()
    inside = [name for name in visible(str(root)) if (root / name / HEADER).is_file()]
    if inside:
        return Hint(f'it holds stores: {listed(inside)}', f'write {root / inside[0]}')
    if root.name == HEADER or (root.parent / HEADER).is_file():
        return Hint('it is a part of one', f'write {root.parent}')
    if (root / 'data.mdb').is_file():
        return Hint('it is an LMDB', 'make a store of it: `mg-basicsr prepare`, or leave multigrid.store out')
    return hint(str(root))


def _header(path: Path, values: dict[str, Any]) -> Header:
    codec = values.get('codec')
    expected: dict[str, tuple[bool, str]] = {
        'scale': (_is(values.get('scale'), 1, MOST_SCALE), f'an integer from 1 to {MOST_SCALE}'),
        'codec': (codec in CODECS, ' or '.join(CODECS)),
        'block': (
            _is(values.get('block'), 1, MOST_BLOCK) if codec == 'zstd' else values.get('block') == 0,
            f'an integer from 1 to {MOST_BLOCK}, or 0 if codec is raw',
        ),
        'degradation': (values.get('degradation') in LQ_FROM, ', '.join(LQ_FROM)),
    }
    for key, (right, allowed) in expected.items():
        if not right:
            _fail(path, f'is damaged: {key}: {str(values.get(key))[:80]}', allowed)
    return Header(**{key: values[key] for key in expected}, version=values['version'])


def line_of(clip: Clip, header: Header) -> str:
    """Return the line that lists a clip, with its end.

    Args:
        clip: The clip.
        header: Header of the store.
    """
    geometry = clip.geometry._asdict()
    del geometry['scale']
    gt_frames = geometry.pop(GT_FRAMES)
    line = {'name': clip.name, **geometry, 'bytes': clip.bytes, 'sha256': clip.sha256}
    if gt_frames:
        line[GT_FRAMES] = list(gt_frames)
    line['crc32'] = _crc32(header, line)
    return json.dumps(line, ensure_ascii=False) + '\n'


def _crc32(header: Header, line: dict[str, Any]) -> str:
    """Return the checksum of everything that says where the pixels of a clip are: 8 hexadecimal digits."""
    values = [header.scale, header.codec, header.block, *(line[key] for key in LINE)]
    if (
        GT_FRAMES in line
    ):  # a reader that does not know the key computes another checksum, and takes the line as damaged
        values.append(line[GT_FRAMES])
    return f'{zlib.crc32(json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()):08x}'


def read_list(root: Path, header: Header) -> tuple[dict[str, Clip], list[Problem]]:
    """Read the list of clips.

    A last line without an end is ignored: it was being written when the build was killed.

    Args:
        root: Folder of the store.
        header: Its header.

    Returns:
        Listed clips by name, in the order of the list, and a problem per damaged line, whose clip is not listed.

    Raises:
        DataError: the list cannot be read.
    """
    path = root / LIST
    try:
        text = read_file(root, path)
    except FileNotFoundError:
        text = b''
    except ValueError as error:
        _fail(path, str(error), 'a regular file')
    except OSError as error:
        _fail(path, f'cannot be read: {error.strerror}')
    clips: dict[str, Clip] = {}
    problems: list[Problem] = []
    geometries: dict[Geometry, Geometry] = {}  # equal ones are kept once: Vimeo-90K has 64,612 clips
    for number, line in enumerate(text.split(b'\n')[:-1], 1):
        clip = _clip(line, header)
        if clip:
            geometry = geometries.setdefault(clip.geometry, clip.geometry)
            clips[clip.name] = clip._replace(geometry=geometry)
        else:
            shown = line[:80].decode(errors='replace')
            problems.append(
                Problem('', f'{path}, line {number} is damaged: {shown!r}', 'allowed: a listed clip', CONTINUE)
            )
    return clips, problems


def _clip(line: bytes, header: Header) -> Clip | None:
    values = _object(line) if len(line) <= MOST_LINE_BYTES else None
    if values is None or not is_name(values.get('name')):
        return None
    limits = {
        'frames': MOST_FRAMES,
        **dict.fromkeys(('height', 'width', 'gt_tile', 'lq_tile'), MOST_PIXELS),
        'bytes': 1 << 62,
    }
    if not all(_is(values.get(key), 1, most) for key, most in limits.items()):
        return None
    *shape, size = (int(values[key]) for key in limits)
    frames, height, width, gt_tile, lq_tile = shape
    gt_frames = _gt_frames(values, frames)
    if gt_frames is None:
        return None
    geometry = Geometry(frames, height, width, gt_tile, lq_tile, header.scale, gt_frames)
    if not _checked(values, header, geometry):
        return None
    if geometry.height % header.scale or geometry.width % header.scale:
        return None
    if header.codec == 'raw' and size != geometry.bytes:
        return None
    checksum = values.get('sha256')
    if not isinstance(checksum, str) or not SHA256.fullmatch(checksum):
        return None
    return Clip(values['name'], geometry, size, checksum)


def _gt_frames(values: dict[str, Any], frames: int) -> tuple[int, ...] | None:
    """Return the frames whose GT is stored, () for all; None if the line is damaged."""
    if GT_FRAMES not in values:
        return ()
    found = values[GT_FRAMES]
    if not isinstance(found, list) or not 1 <= len(found) < frames or not all(_is(n, 0, frames - 1) for n in found):
        return None
    return tuple(found) if all(before < after for before, after in pairwise(found)) else None


def _checked(values: dict[str, Any], header: Header, geometry: Geometry) -> bool:
    """Return whether the line is as it was written; version 1 had no checksum, but few tiles."""
    if header.version > 1:
        try:
            return bool(values.get('crc32') == _crc32(header, values))
        except (KeyError, TypeError, ValueError):
            return False
    if geometry.gt_frames:
        return False
    pairs = {(gt, gt if header.scale == 1 else lq) for gt, lq in TILES_OF_VERSION_1[header.codec]}
    if header.codec == 'raw' and geometry.height * geometry.width <= WHOLE_PIXELS_OF_VERSION_1:
        edge = max(geometry.height, geometry.width)
        pairs.add((edge, edge))
    return (geometry.gt_tile, geometry.lq_tile) in pairs


def write_meta_file(root: Path, clips: list[Clip]) -> None:
    """Write a meta file of BasicSR's for the clips, for sets that come without one.

    Args:
        root: Folder of the store.
        clips: The clips, in order.
    """
    shapes = ((clip.name, clip.geometry) for clip in clips)
    lines = [f'{name} {shape.frames} ({shape.height},{shape.width},3)\n' for name, shape in shapes]
    write_whole(root / META, ''.join(lines))


def _object(text: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):  # UnicodeDecodeError and numbers of too many digits are ValueErrors
        return None
    return value if isinstance(value, dict) else None


def _is(value: object, least: int, most: int) -> bool:
    # not a bool, which is an int too
    return type(value) is int and least <= value <= most


def _fail(path: Path, wrong: str, allowed: str = '') -> NoReturn:
    allowed = f'allowed: {allowed}' if allowed else ''
    raise DataError(Problem('', f'{path} {wrong}', allowed, f'restore the file, or {ANEW}'))

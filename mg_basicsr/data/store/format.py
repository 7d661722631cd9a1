"""The files of a store, written and read with distrust. docs/store.md describes them byte for byte.

    store.json        what holds for all clips; written first, never changed
    clips.jsonl       one line per clip, added when its file is whole
    clips/NAME.clip   pixels

All are plain data: JSON and bytes, of which nothing is executed. What was read has the right types and is in range.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from mg_basicsr.atomic_files import write_whole
from mg_basicsr.data.listing.sequences import FrameSequence
from mg_basicsr.data.store.layout import Geometry
from mg_basicsr.dataset_types import DEGRADATIONS
from mg_basicsr.errors import DataError, Problem

FORMAT = 'mg-basicsr store'
VERSION = 1
HEADER, LIST, CLIPS, META = 'store.json', 'clips.jsonl', 'clips', 'meta_info.txt'
CODECS = ('raw', 'zstd')
LQ_FROM = ('files', *DEGRADATIONS)

MOST_HEADER_BYTES = 1 << 16
MOST_LINE_BYTES = 1 << 12
MOST_PIXELS = 1 << 16  # of an edge
MOST_FRAMES = 1 << 24
MOST_SCALE = 64
MOST_BLOCK = 1 << 10
SHA256 = re.compile(r'[0-9a-f]{64}')
# Parts of a name between slashes. What an operating system could take for more than a name is refused.
PART = re.compile(r'[^/\\\x00-\x1f\x7f]{1,200}')
ANEW = 'prepare the store again, in another folder'
CONTINUE = 'run `mg-basicsr prepare` again with the same arguments: it makes what is missing'


@dataclass(frozen=True)
class Header:
    """What holds for all clips of a store.

    Attributes:
        scale: GT pixels per LQ pixel and axis.
        codec: 'raw' or 'zstd'.
        block: Frames that are compressed together; 0 if raw.
        degradation: Where LQ is from: 'files', or made from GT by 'bicubic' or 'bd'.
    """

    scale: int
    codec: str = 'raw'
    block: int = 0
    degradation: str = 'files'


class Clip(NamedTuple):
    """A listed clip: its name, layout, and the size and SHA-256 of its file."""

    name: str
    geometry: Geometry
    bytes: int
    sha256: str

    @property
    def sequence(self) -> FrameSequence:
        """The clip as a training set has it."""
        return FrameSequence(self.name, *self.geometry[:3])


def clip_path(root: Path, name: str) -> Path:
    """The file of a clip; `name` has been checked."""
    return root / CLIPS / f'{name}.clip'


def is_name(name: object) -> bool:
    """Whether this can be a clip's name: folders and a last part, none of which leaves the store."""
    if not isinstance(name, str) or len(name) > MOST_LINE_BYTES // 8:
        return False
    return all(PART.fullmatch(part) and part not in ('.', '..') for part in name.split('/'))


def write_header(root: Path, header: Header) -> None:
    """Writes the header, whole or not at all."""
    write_whole(root / HEADER, json.dumps({'format': FORMAT, 'version': VERSION, **asdict(header)}, indent=2) + '\n')


def read_header(root: Path) -> Header:
    """The checked header.

    Raises:
        DataError: there is none, it is damaged, or of a later version.
    """
    path = root / HEADER
    try:
        with open(path, 'rb') as file:
            text = file.read(MOST_HEADER_BYTES + 1)
    except OSError as error:
        raise DataError(
            Problem(
                '',
                f'{root} is not a store: {path} cannot be read ({error.strerror})',
                'allowed: a folder made by `mg-basicsr prepare`',
                'correct the path, or prepare the store',
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
                f'allowed: version {VERSION}',
                f'update mg-basicsr, or {ANEW}',
            )
        )
    return _header(path, values)


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
    return Header(**{key: values[key] for key in expected})


def line_of(clip: Clip) -> str:
    """The line that lists a clip."""
    geometry = clip.geometry._asdict()
    del geometry['scale']
    line = {'name': clip.name, **geometry, 'bytes': clip.bytes, 'sha256': clip.sha256}
    return json.dumps(line, ensure_ascii=False) + '\n'


def read_list(root: Path, header: Header) -> tuple[dict[str, Clip], list[Problem]]:
    """Listed clips by name, in the order of the list, and a problem per damaged line: its clip counts as not listed.

    A line without an end is one that was being written when the build was killed.

    Raises:
        DataError: the list cannot be read.
    """
    path = root / LIST
    try:
        text = path.read_bytes() if path.exists() else b''
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
    geometry = Geometry(frames, height, width, gt_tile, lq_tile, header.scale)
    if geometry.height % header.scale or geometry.width % header.scale:
        return None
    if header.codec == 'raw' and size != geometry.bytes:
        return None
    checksum = values.get('sha256')
    if not isinstance(checksum, str) or not SHA256.fullmatch(checksum):
        return None
    return Clip(values['name'], geometry, size, checksum)


def write_meta_file(root: Path, clips: list[Clip]) -> None:
    """BasicSR's list of the store's clips, for sets that come without one."""
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
    return type(value) is int and least <= value <= most


def _fail(path: Path, wrong: str, allowed: str = '') -> NoReturn:
    allowed = f'allowed: {allowed}' if allowed else ''
    raise DataError(Problem('', f'{path} {wrong}', allowed, f'restore the file, or {ANEW}'))


def list_size(root: Path) -> int:
    """Bytes of the list, which only grows during a build."""
    try:
        return os.stat(root / LIST).st_size
    except FileNotFoundError:
        return 0

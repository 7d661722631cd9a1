"""Kinds of files that torch.load refuses, recognised by contents instead of by the class of torch's error."""

from __future__ import annotations

import os
import pickletools
import stat
import zipfile
from pathlib import Path
from typing import BinaryIO, NamedTuple


class Kind(NamedTuple):
    """Kind of a file that is no checkpoint.

    Attributes:
        name: Description for messages, to follow "it is".
        remedy: What the user can do.
    """

    name: str
    remedy: str


COPY = 'copy or download it again'
FOLDER = Kind('a folder', 'name the file in it')
SPECIAL = Kind('a pipe, a socket or a device', 'name a file')
EMPTY = Kind('empty', COPY)
CUT_OFF = Kind('cut off: its end is missing', COPY)
CHANGED = Kind('cut off or changed', COPY)
PICKLE = Kind(
    'a pickle that torch.save has not written',
    'save its tensors with torch.save, in the environment that it comes from, if you trust it',
)
TORCHSCRIPT = Kind('a TorchScript archive, which holds code', 'save the state_dict of its module with torch.save')
ARCHIVE = Kind('an archive that torch.save has not written', 'unpack it, and name the checkpoint in it')
HTML = Kind(
    'an HTML page, which a site has sent in place of the file',
    'download the file itself: of GitHub the raw file, of Google Drive what gdown gets',
)
LFS = Kind('a pointer of Git LFS, not the file itself', 'get it with `git lfs pull` in its repository')
ANNEX = Kind('a pointer of git-annex, not the file itself', 'get it with `git annex get` in its repository')
SAFETENSORS = Kind(
    'a file of safetensors, which BasicSR does not read',
    "convert it: torch.save({'params': safetensors.torch.load_file(name)}, other)",
)
TEXT = Kind('a text', 'name a checkpoint, or download it again')
OTHER = Kind('no file of torch.save', 'name a checkpoint, or download it again')

_ZIP = b'PK\x03\x04'
# the first pickle of a file in the form from before torch 1.6: a number
_LEGACY = b'\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.'
_LEGACY_PICKLES = 5  # number, version, system, the object, and the keys of its tensors, whose bytes follow
_STARTS = (
    (b'version https://git-lfs', LFS),
    (b'/annex/objects/', ANNEX),
    (b'\x1f\x8b', ARCHIVE),
    (b'BZh', ARCHIVE),
    (b'\xfd7zXZ', ARCHIVE),
    (b'7z\xbc\xaf', ARCHIVE),
    (b'Rar!', ARCHIVE),
)


def kind_of(path: Path) -> Kind | None:
    """Return what a file is, if it is no whole file of torch.save; None if it is one, or cannot be read."""
    try:
        special = special_kind(path)
        if special is not None:
            return special
        with open(path, 'rb') as file:
            return _kind(file, os.fstat(file.fileno()).st_size)
    except OSError:
        return None


def special_kind(path: Path) -> Kind | None:
    """Return what a path is that is no regular file. Opening a pipe would wait for ever.

    Raises:
        OSError: it does not exist, or cannot be looked at.
    """
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        return FOLDER
    return None if stat.S_ISREG(mode) else SPECIAL


def _kind(file: BinaryIO, size: int) -> Kind | None:
    start = file.read(512)
    if not start:
        return EMPTY
    if start.startswith(_ZIP):
        return _kind_of_zip(file)
    if start.startswith(_LEGACY):
        return None if _whole_legacy(file) else CUT_OFF
    if _ZIP.startswith(start) or _LEGACY.startswith(start):
        return CUT_OFF
    for first, kind in _STARTS:
        if start.startswith(first):
            return kind
    if start[257:262] == b'ustar':
        return ARCHIVE
    if start[:1] == b'\x80' and start[1:2] <= b'\x05':
        return PICKLE
    if start[8:9] == b'{' and int.from_bytes(start[:8], 'little') < size:
        return SAFETENSORS
    return _kind_of_text(start)


def _kind_of_text(start: bytes) -> Kind:
    try:
        text = start[:500].decode('utf-8-sig', 'strict' if len(start) < 500 else 'ignore').lstrip().lower()
    except UnicodeDecodeError:
        return OTHER
    if text.startswith(('<!doctype html', '<html', '<head', '<?xml', '<!--', '<')):
        return HTML
    return TEXT if text and all(character.isprintable() or character.isspace() for character in text) else OTHER


def _kind_of_zip(file: BinaryIO) -> Kind | None:
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            ends = {name.partition('/')[2] for name in names}
            if 'constants.pkl' in ends:
                return TORCHSCRIPT
            if 'data.pkl' not in ends:
                return ARCHIVE
            return CHANGED if archive.testzip() is not None else None
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError, RuntimeError, LookupError):
        return CHANGED


def _whole_legacy(file: BinaryIO) -> bool:
    file.seek(0)
    try:
        for _ in range(_LEGACY_PICKLES):
            for _ in pickletools.genops(file):
                pass
    except Exception:  # of damaged files: of many kinds
        return False
    return True

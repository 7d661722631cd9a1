"""Files of a checkpoint: names, writing with a hash, and the check that a file has not changed since.

A checkpoint of iteration i is a pair, named as in BasicSR: the networks, `models/net_<label>_<i>.pth`, and the training
state, `training_states/<i>.state`, which is written last and holds the SHA-256 of the networks' files. The state's own
SHA-256 is in the comment that a zip archive, which torch.save writes, may have at its end; readers ignore it. The
archive's CRC-32 sums are not enough: a changed length in a record's header moves its data.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from mg_basicsr.atomic_files import whole_file, write_at
from mg_basicsr.training.checkpoints.safe_loading import DamagedError, refuse_special

STATE = '.state'
MODELS = 'models'  # folder beside that of the states

Serialize = Callable[[Any], None]  # writes a checkpoint to a file object, as torch.save does

# The last record of a zip archive has 22 bytes and ends with the length of the comment that follows it.
_SEAL = b'sha256 '  # first bytes of the comment; 64 hexadecimal digits follow
_COMMENT = len(_SEAL) + 64
_NO_COMMENT = bytes(2)  # that length, as torch.save writes it
_END = b'PK\x05\x06'  # first bytes of the last record

_NETWORK = re.compile(r'.+_(\d+)\.pth')


def network_iteration(path: Path) -> int | None:
    """Return the iteration in a network's file name; None for `net_g_latest.pth` and other files."""
    found = _NETWORK.fullmatch(path.name)
    return int(found[1]) if found else None


def state_iteration(path: Path) -> int | None:
    """Return the iteration in a state's file name; None for other files."""
    return int(path.stem) if path.suffix == STATE and path.stem.isdecimal() else None


def states_in(folder: Path) -> list[Path]:
    """Return the training states in a folder, the newest first."""
    states = [path for path in folder.glob(f'*{STATE}') if state_iteration(path) is not None]
    return sorted(states, key=lambda path: int(path.stem), reverse=True)


def networks_in(models: Path, iteration: int) -> list[Path]:
    """Return the networks' files of an iteration.

    Args:
        models: Folder of the networks.
        iteration: Iterations trained, >= 0.
    """
    return sorted(path for path in models.glob(f'net_*_{iteration}.pth') if network_iteration(path) == iteration)


class _HashedFile(io.RawIOBase):
    """File object for torch.save that writes bytes to a descriptor and adds them to a hash.

    torch's writer replaces an error of a file object by one without the reason, so the first is kept in `error`, and
    nothing is raised or written after it.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.size = 0
        self.hash = hashlib.sha256()
        self.error: OSError | None = None

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        if self.error is None:
            try:
                write_at(self.descriptor, self.size, data)
            except OSError as error:
                self.error = error
            self.hash.update(data)
        self.size += size
        return size


def write_hashed(path: Path, serialize: Serialize) -> str:
    """Write a file atomically, and compute its hash.

    Args:
        path: Path of the file.
        serialize: Writes the content to a file object.

    Returns:
        The SHA-256 of the file's bytes, in hexadecimal.

    Raises:
        OSError: the file cannot be written. A former file of that path is unchanged, and no other is left.
    """
    with whole_file(path) as descriptor:
        file = _HashedFile(descriptor)
        serialize(file)
        if file.error is not None:
            raise file.error
    return file.hash.hexdigest()


def write_sealed(path: Path, serialize: Serialize) -> None:
    """Write a file atomically, with its own hash as the archive's comment.

    Args:
        path: Path of the file.
        serialize: Writes the content to a file object, as a zip archive; anything else is written without a hash.

    Raises:
        OSError: the file cannot be written. A former file of that path is unchanged, and no other is left.
    """

    def serialize_and_seal(file: _HashedFile) -> None:
        serialize(file)
        # The comment goes over the last two bytes: its length, then the hash of the archive without comment.
        if file.error is None and os.pread(file.descriptor, 4, file.size - 22) == _END:
            comment = _SEAL + file.hash.hexdigest().encode()
            file.size -= len(_NO_COMMENT)
            file.write(len(comment).to_bytes(2, 'little') + comment)

    write_hashed(path, serialize_and_seal)


def hash_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, 'rb') as file:
        return str(_digest(file, path.stat().st_size).hexdigest())


def is_archive(path: Path) -> bool:
    """Return whether a file is in the format that torch.save writes since 1.6, which has sums.

    Raises:
        OSError: the file cannot be read.
    """
    with open(path, 'rb') as file:
        return file.read(4) == b'PK\x03\x04'


def check_archive(path: Path) -> bool:
    """Check a file of torch.save without loading it: its own hash or, without one, each record against its CRC-32.

    Files in the format from before torch 1.6 are not archives and have no sums; only their first bytes are checked.

    Returns:
        Whether the file is an archive without its own hash.

    Raises:
        DamagedError: the file is empty, cut off, or changed.
        OSError: the file cannot be read.
    """
    refuse_special(path)
    with open(path, 'rb') as file:
        start = file.read(2)
        if not start:
            raise DamagedError('it is empty')
        if start == b'\x80\x02':  # a pickle, as torch.save wrote before 1.6
            return False
        body = path.stat().st_size - _COMMENT - len(_NO_COMMENT)
        if body > 0:
            digest = _digest(file, body)
            end = file.read()
            if end[2:].startswith(_SEAL):
                digest.update(_NO_COMMENT)  # hashed before the comment and its length were written
                seal = _SEAL + digest.hexdigest().encode()
                if end != len(seal).to_bytes(2, 'little') + seal:
                    raise DamagedError('it has changed')
                return False
    try:
        with zipfile.ZipFile(path) as archive:
            changed = archive.testzip()
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError, RuntimeError, LookupError) as error:
        raise DamagedError(f'it is cut off or changed ({error})') from None
    if changed is not None:
        raise DamagedError(f'{changed} in it has changed')
    return True


def _digest(file: BinaryIO, size: int) -> Any:
    """Return the SHA-256 of a file's first `size` bytes. The next read continues after them."""
    digest = hashlib.sha256()
    file.seek(0)
    while size > 0 and (block := file.read(min(size, 1 << 20))):
        digest.update(block)
        size -= len(block)
    return digest

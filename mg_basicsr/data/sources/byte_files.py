"""Access to encoded frames by name, in a folder or in one of BasicSR's LMDBs. Both give the same bytes."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

from mg_basicsr.data.sources.nearby import Nearby, nearby
from mg_basicsr.errors import ConfigError, Problem
from mg_basicsr.parsing.places import hint, visible
from mg_basicsr.parsing.plain_files import read_plain_file
from mg_basicsr.train_set import BLOCK

DATA = 'data.mdb'  # file of an LMDB
AS_KEYS = f'name the clips in {BLOCK}.meta_info_file as the keys do, or make the LMDB again'
MOST_BYTES = 1 << 34  # of a frame, or of a video

WHERE_FROM = 'docs/DatasetPreparation.md of BasicSR says where to get REDS, Vimeo-90K and DIV2K'


class ByteFiles(Protocol):
    """Read access to the encoded frames of one root. Names are relative, with /, as `000/00000007`.

    Attributes:
        option: Dotted path of the option that names the root, for messages.
        root: Folder of the files, or of the LMDB.
    """

    option: str
    root: str

    def size_and_time(self, name: str) -> tuple[int, int]:
        """Return the bytes of an encoded frame, and when it was changed last, in nanoseconds.

        Raises:
            FileNotFoundError: there is no such frame.
            OSError: it cannot be looked up.
        """

    def instead(self, name: str, frames: int) -> Nearby:
        """Return what is there in place of a frame that does not exist, for messages.

        Args:
            name: Name of the frame.
            frames: Frames of its clip.
        """

    def read(self, name: str, limit: int = -1) -> bytes:
        """Return an encoded frame.

        Args:
            name: Name of the frame.
            limit: Most bytes to read, from the first; -1 for all.

        Raises:
            FileNotFoundError: there is no such frame.
            OSError: it cannot be read.
        """

    def place(self, name: str) -> str:
        """Return where a frame is, for messages: a path, or an LMDB and a key."""

    def missing(self, names: Sequence[str]) -> list[str]:
        """Return those of a sequence's names that do not exist.

        Raises:
            OSError: the root cannot be searched.
        """


class Folder:
    """Files below a folder.

    Args:
        root: The folder.
        option: Dotted path of the option that names it, for messages.
        suffix: Added to each name, for instance `.png`.

    Raises:
        ConfigError: the folder does not exist.
    """

    def __init__(self, root: str, option: str, suffix: str = '') -> None:
        self.option = option
        self.root = root
        self._suffix = suffix
        if not os.path.isdir(root):
            found = hint(root)
            raise ConfigError(
                Problem(
                    option,
                    found.why(f'{root} is not a folder'),
                    'allowed: an existing folder, relative to the working directory or absolute',
                    found.advice(f'correct the path; {WHERE_FROM}'),
                )
            )

    def size_and_time(self, name: str) -> tuple[int, int]:
        """Look up a file; see `ByteFiles.size_and_time`."""
        found = os.stat(self.place(name))
        return found.st_size, found.st_mtime_ns

    def instead(self, name: str, frames: int) -> Nearby:
        """Return what is in the folder of a missing file; see `ByteFiles.instead`."""
        return nearby(self.root, self.place(name), self.option, frames)

    def place(self, name: str) -> str:
        """Return the path of a frame; see `ByteFiles.place`."""
        return os.path.join(self.root, name + self._suffix)

    def read(self, name: str, limit: int = -1) -> bytes:
        """Read a file; see `ByteFiles.read`."""
        return read_plain_file(self.place(name), MOST_BYTES, limit)

    def missing(self, names: Sequence[str]) -> list[str]:
        """Return names without a file; see `ByteFiles.missing`."""
        if len(names) == 1:  # an image: the folder may hold many thousand others
            return [name for name in names if not os.path.isfile(self.place(name))]
        there: dict[str, set[str]] = {}
        for folder in {os.path.dirname(self.place(name)) for name in names}:
            try:
                with os.scandir(folder) as entries:
                    there[folder] = {entry.name for entry in entries}
            except (FileNotFoundError, NotADirectoryError):
                there[folder] = set()
        places = ((name, *os.path.split(self.place(name))) for name in names)
        return [name for name, folder, file in places if file not in there[folder]]


class LmdbFolder:
    """LMDB whose keys are names and whose values are encoded frames, as BasicSR's scripts make them.

    Args:
        root: Folder of the LMDB.
        option: Dotted path of the option that names it, for messages.

    Raises:
        ConfigError: there is no LMDB.
    """

    def __init__(self, root: str, option: str) -> None:
        self.option = option
        self.root = root
        if not os.path.isfile(os.path.join(root, DATA)):
            found = hint(root)
            inside = [name for name in visible(root) if os.path.isfile(os.path.join(root, name, DATA))]
            usual = f'correct the path, or set {BLOCK}.io_backend.type: disk for a folder of image files'
            raise ConfigError(
                Problem(
                    option,
                    found.why(f'{root} is not an LMDB folder'),
                    'allowed: an existing folder with a data.mdb in it',
                    f'write {os.path.join(root, inside[0])}' if inside else found.advice(usual),
                )
            )

    def size_and_time(self, name: str) -> tuple[int, int]:
        """Return the size of a value, and the time of the LMDB; see `ByteFiles.size_and_time`.

        Raises:
            FileNotFoundError: there is no such key.
        """
        with _transaction(self.root) as transaction:
            value = transaction.get(name.encode())
            if value is None:
                raise FileNotFoundError(2, os.strerror(2), self.place(name))
            return len(value), os.stat(os.path.join(self.root, DATA)).st_mtime_ns

    def count(self) -> int:
        """Return the number of keys.

        Raises:
            OSError: the LMDB cannot be read.
        """
        with _transaction(self.root) as transaction:
            return int(transaction.stat()['entries'])

    def instead(self, name: str, frames: int) -> Nearby:
        """Return a key of the LMDB, if it has none of the clip; see `ByteFiles.instead`."""
        clip = name.rpartition('/')[0].encode()
        with _transaction(self.root) as transaction, transaction.cursor() as cursor:
            if clip and cursor.set_range(clip + b'/') and bytes(cursor.key()).startswith(clip + b'/'):
                return Nearby()
            first = bytes(cursor.key()).decode(errors='replace') if cursor.first() else ''
        return Nearby(f'its keys are such as {first}' if first else 'it is empty', AS_KEYS)

    def place(self, name: str) -> str:
        """Return the LMDB and key of a frame; see `ByteFiles.place`."""
        return f'{self.root} (LMDB), key {name}'

    def read(self, name: str, limit: int = -1) -> bytes:
        """Read a value; see `ByteFiles.read`.

        Raises:
            FileNotFoundError: there is no such key.
        """
        with _transaction(self.root) as transaction:
            value = transaction.get(name.encode())
            if value is None:
                raise FileNotFoundError(name)
            return bytes(value if limit < 0 else value[:limit])

    def missing(self, names: Sequence[str]) -> list[str]:
        """Return names that are not keys; see `ByteFiles.missing`."""
        # A cursor finds a key without touching the pages of its value, which get() would read from disk.
        with _transaction(self.root) as transaction, transaction.cursor() as cursor:
            return [name for name in names if not cursor.set_key(name.encode())]


class _Open(NamedTuple):
    """LMDB environment of a process, its file by number, and the bytes that this file must have."""

    owner: int
    environment: Any
    file: int
    bytes: int


# LMDB wants an environment to be open once in a process and not to be used across a fork. So they live here, by
# process and path, and not in the objects that travel to the workers.
_environments: dict[str, _Open] = {}


@contextmanager
def _transaction(root: str) -> Iterator[Any]:
    """Yield a transaction for reading; its values are views that are valid within it.

    LMDB maps its file into memory, and a read beyond the end of a file that was cut would end the process: its size is
    compared first.

    Raises:
        OSError: in place of LMDB's own errors, and if the file is shorter than it says.
    """
    lmdb = _lmdb()
    try:
        opened = _environment(lmdb, root)
        _check_size(root, opened.bytes)
        with opened.environment.begin(buffers=True) as transaction:
            yield transaction
    except lmdb.Error as error:
        raise OSError(str(error)) from error


def lmdb_fault(root: str) -> str:
    """Return what is wrong with the file of an LMDB that others will read; empty if it is as long as it says.

    It is not kept open: a process can open an LMDB only once, and the others could not.

    Args:
        root: Folder with the file.
    """
    try:
        import lmdb
    except ImportError:  # reported by those who want to read it
        return ''
    path = os.path.realpath(root)
    known = path in _environments
    try:
        _check_size(root, _environment(lmdb, root).bytes)
    except (OSError, lmdb.Error) as error:
        return str(error)
    finally:
        if not known and path in _environments:
            _environments.pop(path).environment.close()
    return ''


def _environment(lmdb: Any, root: str) -> _Open:
    """Return the environment of this process, opened once."""
    path = os.path.realpath(root)
    found = _environments.get(path)
    file = os.stat(os.path.join(path, DATA)).st_ino
    if found is not None and (found.owner, found.file) == (os.getpid(), file):
        return found
    if found is not None:
        # the parent's, of which this closes our copy alone and lets us open our own; or that of a file replaced since
        found.environment.close()
    _check_size(root, 2 * mmap.PAGESIZE)  # its first two pages say how many there are
    environment = lmdb.open(path, readonly=True, lock=False, readahead=False)
    pages = environment.info()['last_pgno'] + 1
    opened = _Open(os.getpid(), environment, file, pages * environment.stat()['psize'])
    _environments[path] = opened
    return opened


def _check_size(root: str, expected: int) -> None:
    path = os.path.join(root, DATA)
    found = os.stat(path).st_size
    if found < expected:
        raise OSError(f'{path} has {found} bytes where it needs {expected}: it was cut short, so copy it again')


def _lmdb() -> Any:
    try:
        import lmdb
    except ImportError:
        raise ConfigError(
            Problem(
                f'{BLOCK}.io_backend.type',
                'lmdb needs the package lmdb, which is not installed',
                remedy='pip install lmdb',
            )
        ) from None
    return lmdb

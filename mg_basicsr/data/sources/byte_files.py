"""Access to encoded frames by name, in a folder or in one of BasicSR's LMDBs. Both give the same bytes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from mg_basicsr.errors import ConfigError, Problem
from mg_basicsr.train_set import BLOCK


class ByteFiles(Protocol):
    """Read access to the encoded frames of one root. Names are relative, with /, as `000/00000007`.

    Attributes:
        option: Dotted path of the option that names the root, for messages.
    """

    option: str

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
        self._root = root
        self._suffix = suffix
        if not os.path.isdir(root):
            raise ConfigError(
                Problem(
                    option,
                    f'{root} is not a folder',
                    'allowed: an existing folder, relative to the working directory or absolute',
                    'correct the path, or prepare the data set',
                )
            )

    def place(self, name: str) -> str:
        """Return the path of a frame; see `ByteFiles.place`."""
        return os.path.join(self._root, name + self._suffix)

    def read(self, name: str, limit: int = -1) -> bytes:
        """Read a file; see `ByteFiles.read`."""
        with open(self.place(name), 'rb') as file:
            return file.read(limit)

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
        self._root = root
        if not os.path.isfile(os.path.join(root, 'data.mdb')):
            raise ConfigError(
                Problem(
                    option,
                    f'{root} is not an LMDB folder',
                    'allowed: an existing folder with a data.mdb in it',
                    f'correct the path, or set {BLOCK}.io_backend.type: disk for a folder of image files',
                )
            )

    def place(self, name: str) -> str:
        """Return the LMDB and key of a frame; see `ByteFiles.place`."""
        return f'{self._root} (LMDB), key {name}'

    def read(self, name: str, limit: int = -1) -> bytes:
        """Read a value; see `ByteFiles.read`.

        Raises:
            FileNotFoundError: there is no such key.
        """
        with _transaction(self._root) as transaction:
            value = transaction.get(name.encode())
            if value is None:
                raise FileNotFoundError(name)
            return bytes(value if limit < 0 else value[:limit])

    def missing(self, names: Sequence[str]) -> list[str]:
        """Return names that are not keys; see `ByteFiles.missing`."""
        # A cursor finds a key without touching the pages of its value, which get() would read from disk.
        with _transaction(self._root) as transaction, transaction.cursor() as cursor:
            return [name for name in names if not cursor.set_key(name.encode())]


# An LMDB environment must be open only once in a process and not be used across a fork. So environments are kept here,
# by process and path, and not in the objects that are sent to the workers.
_environments: dict[str, tuple[int, Any]] = {}


@contextmanager
def _transaction(root: str) -> Iterator[Any]:
    """Yield a transaction for reading; its values are views that are valid within it.

    Raises:
        OSError: in place of LMDB's own errors.
    """
    lmdb = _lmdb()
    try:
        with _environment(lmdb, root).begin(buffers=True) as transaction:
            yield transaction
    except lmdb.Error as error:
        raise OSError(str(error)) from error


def _environment(lmdb: Any, root: str) -> Any:
    """Return the environment of this process, opened once."""
    path = os.path.realpath(root)
    owner, environment = _environments.get(path, (0, None))
    if environment is not None and owner == os.getpid():
        return environment
    if environment is not None:
        environment.close()  # the parent's: this closes our copy alone, and lets us open our own
    environment = lmdb.open(path, readonly=True, lock=False, readahead=False)
    _environments[path] = os.getpid(), environment
    return environment


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

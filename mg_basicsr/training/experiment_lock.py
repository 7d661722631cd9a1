"""Lock of an experiment: one run at a time trains in a folder, and a new run archives only folders not in use.

It is a record lock on a file beside the folder, which BasicSR renames. The system drops such a lock when the
process that has it ends, however it ends, and children do not inherit it: none is ever left over.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from pathlib import Path

from mg_basicsr.errors import ConfigError, Problem

MOST_BYTES = 200  # of what is read of who has a lock

# by file, the process that has locked it and its descriptor, which stays open: closing it would drop the lock
_held: dict[str, tuple[int, int]] = {}


def lock_file(experiment: Path) -> Path:
    """Return the file that is locked while an experiment is trained in."""
    return experiment.with_name(f'.{experiment.name}.lock')


def lock_experiment(experiment: Path) -> bool:
    """Lock an experiment's folder, which need not exist, until this process ends. A second time does nothing.

    Returns:
        Whether it is locked now; False where the file system has no locks or nothing can be written.

    Raises:
        ConfigError: another process trains in it.
    """
    path = lock_file(Path(os.path.realpath(experiment)))
    if _held.get(str(path), (0, 0))[0] == os.getpid():
        return True
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError:  # the host's own error, when it makes its folders, says more
        return False
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = os.pread(descriptor, MOST_BYTES, 0).decode(errors='replace').strip()
        os.close(descriptor)
        if error.errno not in (errno.EACCES, errno.EAGAIN):
            return False
        raise ConfigError(
            Problem(
                'name',
                f'{experiment} is being trained in by another process ({owner or "unknown"})',
                'allowed: one run at a time in an experiment',
                'give this run another name, or wait until the other has ended, or stop it',
            )
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f'process {os.getpid()} on {socket.gethostname()}\n'.encode(), 0)
    _held[str(path)] = os.getpid(), descriptor
    return True

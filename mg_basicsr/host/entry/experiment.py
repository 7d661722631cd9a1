"""Folder of the experiment that a run trains in: locked before the host archives it or writes to it."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mg_basicsr.errors import ConfigError, Problem
from mg_basicsr.host.log import logger
from mg_basicsr.host.run import Run
from mg_basicsr.training.experiment_lock import lock_experiment, lock_file


def lock(run: Run, folder: Any) -> None:
    """Lock an experiment's folder on the rank that writes to it, until the process ends.

    Args:
        run: The run; one that is only on trial locks nothing.
        folder: The host's `path.experiments_root`; None where it has none.

    Raises:
        ConfigError: another process trains in it.
    """
    if folder is None or run.rank > 0 or not run.specification.in_loop:
        return
    if not lock_experiment(Path(folder)):
        logger().warning(f'multigrid: {lock_file(Path(folder))} cannot be locked: start no second run of this name')


def make_folder(run: Run, original: Callable[[Any], None], folder: Any) -> None:
    """Lock the folder of an experiment, then make it with BasicSR's function, which renames one that exists.

    BasicSR makes the folder of TensorBoard's files in the same way, after the experiment's.

    Args:
        run: The run.
        original: BasicSR's function.
        folder: Path of the folder.

    Raises:
        ConfigError: another process trains in it, or it cannot be made.
    """
    path = Path(folder)
    if path.parent.name != 'tb_logger':
        lock(run, path)
    try:
        _make(original, folder)
    except OSError as error:
        raise ConfigError(
            Problem(
                'name',
                f'{path} cannot be made: {error.strerror or error}',
                'needed: a working directory that can be written to',
                'start the run in another folder, or change the permissions',
            )
        ) from None


def _make(original: Callable[[Any], None], folder: Any) -> None:
    try:
        original(folder)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        # BasicSR puts a folder aside under a name that tells the second, and one of this second is there already
        time.sleep(1.1)
        original(folder)

"""The folder of the experiment that a run trains in: locked before the host archives it or writes to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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


def lock_before_archiving(run: Run, folder: Any) -> None:
    """Lock the folder that BasicSR is about to make, after renaming one that exists; raises as `lock` does.

    BasicSR does the same with the folder of TensorBoard's files, which is archived after the experiment's.
    """
    path = Path(folder)
    if path.parent.name != 'tb_logger':
        lock(run, path)

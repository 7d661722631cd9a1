"""One process at a time holds an experiment, and none after it has ended, however it did."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from mg_basicsr.errors import ConfigError
from mg_basicsr.training import experiment_lock
from mg_basicsr.training.experiment_lock import lock_experiment, lock_file


@pytest.fixture(autouse=True)
def closed() -> None:
    experiment_lock._held.clear()


def in_child(body: Callable[[], bool]) -> bool:
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if body() else 1)
        finally:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def refused(experiment: Path) -> bool:
    """Whether another process cannot have it, and is told who has."""

    def body() -> bool:
        try:
            lock_experiment(experiment)
        except ConfigError as error:
            return f'process {os.getppid()} on ' in str(error) and str(experiment) in str(error)
        return False

    return in_child(body)


def test_one_process_has_it(tmp_path: Path) -> None:
    experiment = tmp_path / 'experiments/x'
    assert lock_experiment(experiment) and lock_experiment(experiment)
    assert refused(experiment) and not refused(tmp_path / 'experiments/y')
    experiment.mkdir()
    os.rename(experiment, tmp_path / 'experiments/x_archived')  # as BasicSR does
    assert refused(experiment) and not refused(tmp_path / 'experiments/x_archived')
    (tmp_path / 'link').symlink_to('experiments')
    assert in_child(lambda: refused_by_name(tmp_path / 'link/x'))


def refused_by_name(experiment: Path) -> bool:
    try:
        return not lock_experiment(experiment)
    except ConfigError:
        return True


def test_it_goes_with_the_process_and_not_with_its_children(tmp_path: Path) -> None:
    """Workers of a loader outlive a trainer that was killed by some seconds."""
    experiment = tmp_path / 'x'
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        lock_experiment(experiment)
        worker = os.fork()
        if worker == 0:
            signal.pause()
        os.write(write, str(worker).encode())
        signal.pause()
    worker = int(os.read(read, 20))
    assert in_child(lambda: refused_by_name(experiment))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    try:
        assert lock_experiment(experiment)
    finally:
        os.kill(worker, signal.SIGKILL)
        os.close(read)
        os.close(write)


def test_where_nothing_can_be_locked_training_is_not_stopped(tmp_path: Path) -> None:
    (tmp_path / 'file').write_text('')
    assert not lock_experiment(tmp_path / 'file/x')
    lock_file(tmp_path / 'x').mkdir()
    assert not lock_experiment(tmp_path / 'x')


@pytest.mark.parametrize('number', [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EIO, errno.EINVAL])
def test_a_file_system_without_locks(tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Network and FUSE file systems: no error, and no lock that is taken to be one."""

    def refuses(*arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, 'lockf', refuses)
    assert not lock_experiment(tmp_path / 'x') and not lock_experiment(tmp_path / 'x')

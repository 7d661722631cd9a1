"""Kills of faults.py: when they fall, and starts until a run has come to its end in spite of them."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from faults_project import Project

PATIENCE = 600  # seconds that no start of this small run takes


def ended(pid: int) -> int | None:
    """The exit code of a process that has ended, else None."""
    done, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if done else None


def wait(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@dataclass
class Killer:
    """Decides when a start is killed.

    Attributes:
        rng: Source of the moments.
        duration: About the seconds that a start takes which is not killed.
        aimed: Kills that waited for a save to begin.
        during_save: Kills that left a save unfinished: a temporary file, or a network without its state.
        during_validation: Kills while the host validated.
        validates: Whether the runs validate: then another third of the kills wait for it.
    """

    rng: random.Random
    duration: float
    validates: bool = False
    kills: int = 0
    aimed: int = 0
    during_save: int = 0
    during_validation: int = 0
    starts: int = 0

    def moment(self, project: Project) -> Callable[[], bool]:
        """A function that tells, when asked all the time, that the moment has come."""
        begun = time.monotonic()
        limit = begun + self.rng.uniform(0, 0.9) * self.duration
        kind = self.rng.random()
        if self.validates and kind >= 2 / 3:
            after = self.rng.uniform(0, 0.1)
            return lambda: project.validating and (time.sleep(after) or True)
        if kind >= 1 / 3:
            return lambda: time.monotonic() >= limit
        before = project.files()
        delay, saves, seen = self.rng.uniform(0, 0.02), self.rng.randint(1, 3), 0
        due = 0.0

        def save_has_begun() -> bool:
            nonlocal before, seen, due
            if not due:
                now = project.files()
                names = {name for name, _ in now} - {name for name, _ in before}
                seen += any(name.startswith('models/') for name in names)
                before = now
                if seen >= saves:
                    due = time.monotonic() + delay
                    self.aimed += 1
            return bool(due) and time.monotonic() >= due

        return save_has_begun

    def told(self) -> str:
        """The counts so far."""
        validation = f', {self.during_validation} during a validation' if self.validates else ''
        return (
            f'{self.kills} kills ({self.aimed} aimed at a save, {self.during_save} during one{validation}), '
            f'{self.starts} starts'
        )

    def note(self, project: Project) -> None:
        """After a kill: was a save under way?"""
        self.kills += 1
        self.during_validation += project.validating
        names = {name for name, _ in project.files()}
        states = {Path(name).stem for name in names if name.startswith('training_states/')}
        networks = {Path(name).stem.rpartition('_')[2] for name in names if name.startswith('models/')}
        partial = any(not name.endswith(('.pth', '.state')) for name in names)
        self.during_save += partial or bool(networks - states - {'latest'})


def run_to_the_end(project: Project, killer: Killer, workers: Iterator[int], most: int) -> None:
    """Starts, kills and resumes until the run has come to its end; no kill above `most`.

    Raises:
        SystemExit: a start ended by itself with another code than 0.
    """
    while True:
        count = next(workers)
        pid = project.start(count)
        killer.starts += 1
        due = killer.moment(project) if killer.kills < most else lambda: False
        begun = time.monotonic()
        while (code := ended(pid)) is None:
            if due():
                os.killpg(pid, signal.SIGKILL)
                wait(pid)
                killer.note(project)
                break
            if time.monotonic() > begun + PATIENCE:
                os.killpg(pid, signal.SIGKILL)
                raise SystemExit(f'{project.root}: a start with {count} workers hangs\n{project.tail()}')
            time.sleep(0.0005)
        if code == 0:
            killer.duration = max(time.monotonic() - begun, 0.8 * killer.duration)  # the machine's load changes
            return
        if code is not None:
            what = f'a start with {count} workers ended with code {code}'
            raise SystemExit(f'FAILED after {killer.kills} kills: {what}\n{project.tail()}')


def ranks_to_the_end(project: Project, killer: Killer, ranks: int, most: int) -> None:
    """The same under torchrun, which restarts all ranks when one is killed.

    Raises:
        SystemExit: torchrun ended with another code than 0.
    """
    command = [
        sys.executable, '-m', 'torch.distributed.run', f'--nproc_per_node={ranks}', '--rdzv_backend=c10d',
        '--rdzv_endpoint=localhost:0', f'--max_restarts={10 * most + 10}', '--monitor_interval=0.1',
        'train.py', '-opt', 'train.yml', '--launcher', 'pytorch', '--auto_resume',
    ]  # fmt: skip
    # torchrun's ranks share a store, in which those that are restarted may find the addresses of those before them
    environment = {**os.environ, 'TORCH_DISABLE_SHARE_RDZV_TCP_STORE': '1'}
    with open(project.root / 'output.txt', 'w') as output:
        process = subprocess.Popen(
            command, cwd=project.root, stdout=output, stderr=output, start_new_session=True, env=environment
        )
    killed: set[str] = set()
    while process.poll() is None:
        pids = [path.read_text() for path in (project.root / f'pid_{rank}' for rank in range(ranks)) if path.exists()]
        if killer.kills >= most or len(pids) < ranks or not all(pids) or killed & set(pids):
            time.sleep(0.05)  # until torchrun has restarted them
            continue
        due = killer.moment(project)
        while not due() and process.poll() is None:
            time.sleep(0.0005)
        victim = killer.rng.choice(pids)
        killed |= set(pids)
        try:
            os.kill(int(victim), signal.SIGKILL)
        except ProcessLookupError:  # it has come to its end
            continue
        killer.note(project)
        killer.starts += 1
    if process.returncode:
        what = f'torchrun ended with code {process.returncode}'
        raise SystemExit(f'FAILED after {killer.kills} kills: {what}\n{project.tail()}')

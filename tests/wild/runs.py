"""Trainings of a case in processes of their own, and what they have written."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from tests.helpers import fork_server
from tests.wild.cases import Case

ROOT = Path(__file__).parents[2]
SECONDS = 400  # after which a run is given up
ALWAYS = {'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': '', 'PYTHONDONTWRITEBYTECODE': '1'}
IMPORTED = ('torch', 'torchvision', 'torchvision.transforms', 'cv2', 'scipy.ndimage', 'lmdb', 'mg_basicsr.cli.main')
CUDA = ('Torch not compiled with CUDA', 'No CUDA GPUs', 'no NVIDIA driver', 'No NVIDIA', 'CUDA is not available')
LINE = re.compile(r'iter:\s*([\d,]+),.*frames: (\d+) gt_size: (\d+)')
LOSS = re.compile(r'\b(l_\w+|loss\w*): (-?[\d.]+e[+-]\d+|nan|inf)')


@dataclass(frozen=True)
class Done:
    """A process that has ended.

    Attributes:
        code: Its exit code.
        output: What it has printed.
        seconds: How long it took, all its processes.
    """

    code: int
    output: str
    seconds: float

    @property
    def last_line(self) -> str:
        lines = [line for line in self.output.splitlines() if line.strip()]
        return lines[-1].strip() if lines else ''


def python_of(case: Case) -> str:
    """The interpreter of a case: MG_WILD_PYTHON, or MG_WILD_PYTHON_BARE for a repository with a basicsr of its own."""
    name = 'MG_WILD_PYTHON' if case.installed else 'MG_WILD_PYTHON_BARE'
    return os.environ.get(name) or os.environ.get('MG_WILD_PYTHON') or sys.executable


def command(case: Case, options: str, *arguments: str) -> list[str]:
    """The arguments of `mg-basicsr` that train a case."""
    return ['run', case.script, case.flag, options, *case.arguments, *arguments]


def job(case: Case, copy: Path, options: Path, log: Path, *arguments: str, **environment: str) -> dict[str, Any]:
    """A training, for a fork server.

    Args:
        case: The case.
        copy: The repository's copy, in which it runs.
        options: The options file.
        log: Gets what is printed.
        arguments: Further arguments.
        environment: Variables beside those of this process.
    """
    places = [*(str(copy / folder) for folder in case.path), str(ROOT)]
    return {
        'arguments': ['-m', 'mg_basicsr', *command(case, str(options), *arguments)],
        'folder': str(copy),
        'outputs': [str(log)],
        'environment': {**os.environ, **ALWAYS, 'PYTHONPATH': os.pathsep.join(places), **environment},
        'seconds': SECONDS,
    }


class Server:
    """Starts trainings in forks of an interpreter that has imported what every repository needs, and no basicsr."""

    running: ClassVar[dict[tuple[str, int], Server]] = {}

    def __init__(self, python: str) -> None:
        command = [python, fork_server.__file__, *IMPORTED]
        places = os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')])
        environment = {**os.environ, **ALWAYS, 'PYTHONPATH': places}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    @classmethod
    def of(cls, case: Case, number: int = 0) -> Server:
        """The server for a case, or another one for a second rank."""
        key = python_of(case), number
        if key not in cls.running:
            cls.running[key] = cls(key[0])
        return cls.running[key]

    def begin(self, job: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(job) + '\n')
        self.process.stdin.flush()

    def wait(self) -> int:
        """Wait for the job, and return its exit code."""
        assert self.process.stdout is not None
        return int(self.process.stdout.readline())

    def kill(self) -> None:
        """Kill the job, with SIGKILL."""
        number = self.process.pid
        for child in Path(f'/proc/{number}/task/{number}/children').read_text().split():
            os.kill(int(child), signal.SIGKILL)


def train(case: Case, copy: Path, options: Path, log: Path, *arguments: str) -> Done:
    """Train a case to the end."""
    began, server = time.monotonic(), Server.of(case)
    server.begin(job(case, copy, options, log, *arguments))
    return Done(server.wait(), log.read_text(errors='replace'), time.monotonic() - began)


def train_on_ranks(case: Case, copy: Path, options: Path, log: Path) -> Done:
    """Train a case in two processes, with the environment that torchrun gives them."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = str(free.getsockname()[1])
    began, logs = time.monotonic(), [log.with_suffix(f'.{rank}.txt') for rank in range(2)]
    for rank in range(2):
        ranks = {'RANK': str(rank), 'LOCAL_RANK': str(rank), 'WORLD_SIZE': '2', 'LOCAL_WORLD_SIZE': '2'}
        meeting = {'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': port}
        launched = job(case, copy, options, logs[rank], '--launcher', 'pytorch', **ranks, **meeting)
        Server.of(case, rank).begin(launched)
    codes = [Server.of(case, rank).wait() for rank in range(2)]
    worst = next((rank for rank in range(2) if codes[rank] not in (0, -9)), 0 if codes[0] else 1)
    return Done(codes[worst], logs[worst].read_text(errors='replace'), time.monotonic() - began)


def train_until_saved(case: Case, copy: Path, options: Path, log: Path, name: str) -> int:
    """Train a case until a training state of an experiment is there, kill it then, and return the newest iteration.

    Returns:
        0 if there is none.
    """
    server = Server.of(case)
    server.begin(job(case, copy, options, log))
    end = time.monotonic() + SECONDS
    ended = False
    while not ended and time.monotonic() < end and not states(copy, name):
        assert server.process.stdout is not None
        ended = bool(select.select([server.process.stdout], [], [], 0.02)[0])
    server.kill()
    server.wait()
    return max(states(copy, name), default=0)


def experiment(copy: Path, name: str) -> Path:
    """The folder of an experiment, wherever the script has put it."""
    found = [path for path in copy.glob(f'**/experiments/{name}') if path.is_dir()]
    return found[0] if found else copy / 'experiments' / name


def states(copy: Path, name: str) -> list[int]:
    """The iterations of an experiment's training states."""
    folder = experiment(copy, name) / 'training_states'
    return [int(path.stem) for path in folder.glob('*.state') if path.stem.isdecimal()]


def steps(copy: Path, name: str) -> list[tuple[int, int, int, dict[str, str]]]:
    """(iteration, frames, GT size, losses) of every line of the logs of an experiment."""
    found = []
    for log in sorted(experiment(copy, name).glob('*.log'), key=lambda path: path.stat().st_mtime_ns):
        for line in log.read_text(errors='replace').splitlines():
            if match := LINE.search(line):
                iteration, frames, size = (int(group.replace(',', '')) for group in match.groups())
                found.append((iteration, frames, size, dict(LOSS.findall(line))))
    return found


def networks(copy: Path, name: str, which: str) -> dict[str, Any]:
    """The tensors in the files of weights of an experiment, of an iteration or `latest`, by file and key."""
    import torch

    def tensors(value: Any, key: str) -> dict[str, Any]:
        if isinstance(value, dict):
            return {k: v for name, entry in value.items() for k, v in tensors(entry, f'{key}.{name}').items()}
        return {key: value} if torch.is_tensor(value) else {}

    found: dict[str, Any] = {}
    for path in sorted((experiment(copy, name) / 'models').glob(f'*_{which}.pth')):
        found |= tensors(torch.load(path, map_location='cpu', weights_only=True), path.name)
    return found


def reason(done: Done, copy: Path) -> str:
    """Why a process has failed: hard-coded CUDA and its place, a package that is missing, or its last line."""
    lines = done.output.splitlines()
    if done.code == -9:
        return f'still runs after {SECONDS} s'
    if any(text in done.output for text in CUDA):
        places = [line for line in lines if line.strip().startswith('File ') and str(copy) in line]
        place = re.search(r'File "([^"]+)", line (\d+)', places[-1]) if places else None
        where = f' ({Path(place[1]).relative_to(copy)}:{place[2]})' if place else ''
        return f'calls CUDA whatever the device is{where}'
    if missing := re.findall(r"No module named '([^']+)'", done.output):
        return f'needs the package {missing[-1]}'
    return shortened(lines)


def shortened(lines: Sequence[str]) -> str:
    """The last message among lines of output, in one line."""
    told = [line.strip() for line in lines if re.match(r'\s*[\w.]*(Error|Exception)\b', line)]
    return (told or [line.strip() for line in lines if line.strip()] or ['no output'])[-1][:300]

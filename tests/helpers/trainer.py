"""Runs of Python on projects, in forks of one process that has imported what a training needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from tests.helpers import fork_server

if TYPE_CHECKING:
    from tests.helpers.project import Project

ENVIRONMENT = {'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': ''}  # on one thread, sums are in one order
SECONDS = 300  # after which a process is killed

# the last line of a train.py, after whatever it registers
TRAIN = '\nimport os\nfrom basicsr.train import train_pipeline\ntrain_pipeline(os.getcwd())\n'


class Trainer:
    """Starts processes through a fork server; used as a context manager.

    `trainer(project)` runs the project's train.py; `trainer.launch(project, ...)` any command line of Python. Tests of
    how a process starts use `project.launch`, which starts a real one.
    """

    def __enter__(self) -> Trainer:
        self.folder = tempfile.TemporaryDirectory()
        command = [sys.executable, fork_server.__file__]
        env = {**os.environ, **ENVIRONMENT}
        self.server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.communicate(timeout=60)
        self.folder.cleanup()

    def __call__(self, project: Project, *arguments: str, before: str = '', script: str = TRAIN, code: int = 0) -> str:
        """Run `train.py -opt train.yml arguments...` in the project's folder.

        Args:
            project: Whose folder has a train.yml.
            arguments: Further arguments.
            before: Code at the top of train.py; it begins with an import of the package as far as the server has one.
            script: The rest of train.py.
            code: The exit code that is expected.

        Returns:
            What was printed, to the two streams in order.
        """
        (project.root / 'train.py').write_text(before + script)
        output = project.root / 'output.txt'
        got = self.run(['train.py', '-opt', 'train.yml', *arguments], project.root, [output])
        text = output.read_text()
        assert got == code, f'exit code {got}\n{text[-4000:]}'
        return text

    def launch(
        self, project: Project, *arguments: str, check: bool = True, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run `python arguments...` in the project's folder, as `project.launch` does, in a fork."""
        outputs = [Path(self.folder.name, stream) for stream in ('stdout', 'stderr')]
        code = self.run(arguments, project.root, outputs, environment)
        done = subprocess.CompletedProcess(arguments, code, *(path.read_text() for path in outputs))
        return checked(done) if check else done

    def train(self, project: Project, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `mg-basicsr train -opt train.yml arguments...`."""
        return self.launch(project, '-m', 'mg_basicsr', 'train', '-opt', 'train.yml', *arguments, check=check)

    def run(
        self, arguments: Sequence[str], folder: Path, outputs: Sequence[Path], environment: Mapping[str, str] = {}
    ) -> int:
        """Run `python arguments...` in a fork.

        Args:
            arguments: A script with its arguments, or -m with a module and its arguments.
            folder: The working directory.
            outputs: The file for both streams, or one for stdout and one for stderr.
            environment: Variables beside those of this process.

        Returns:
            The exit code, or the negative number of the signal that ended it.
        """
        assert self.server.stdin is not None and self.server.stdout is not None
        job = {
            'arguments': list(arguments),
            'folder': str(folder),
            'outputs': [str(path) for path in outputs],
            'environment': {**os.environ, **ENVIRONMENT, **environment},
            'seconds': SECONDS,
        }
        self.server.stdin.write(json.dumps(job) + '\n')
        self.server.stdin.flush()
        answer = self.server.stdout.readline()
        assert answer, 'the fork server has ended'
        return int(answer)


def checked(done: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    """The finished process, if its exit code is 0; else its output, as an error of the test."""
    assert not done.returncode, f'exit code {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}'
    return done

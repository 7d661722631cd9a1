"""Trains many small projects for the price of importing BasicSR once: a process that forks for each of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.integration.conftest import Project

# the last line of a train.py, after whatever it registers
TRAIN = '\nimport os\nfrom basicsr.train import train_pipeline\ntrain_pipeline(os.getcwd())\n'

# Each line of its input is a job. The child does what Python does for a script that begins with `import mg_basicsr`.
PARENT = """
import json, os, runpy, sys
import mg_basicsr
import basicsr.train

def run(job):
    os.chdir(job['folder'])
    output = os.open('output.txt', os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(output, stream)
    sys.argv = ['train.py', *job['arguments']]
    runpy.run_path('train.py', run_name='__main__')

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        run(json.loads(line))
        break
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Trainer:
    """`trainer(project)` runs the project's train.py; used as a context manager."""

    def __enter__(self) -> Trainer:
        env = {**os.environ, 'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': ''}
        self.process = subprocess.Popen(
            [sys.executable, '-c', PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.communicate(timeout=60)

    def __call__(self, project: Project, *arguments: str, before: str = '', script: str = TRAIN, code: int = 0) -> str:
        """Runs `train.py -opt train.yml arguments...`, with the code in `before` at its top; returns its output."""
        assert self.process.stdin is not None and self.process.stdout is not None
        (project.root / 'train.py').write_text(before + script)
        job = {'folder': str(project.root), 'arguments': ['-opt', 'train.yml', *arguments]}
        self.process.stdin.write(json.dumps(job) + '\n')
        self.process.stdin.flush()
        got = int(self.process.stdout.readline())
        output = (project.root / 'output.txt').read_text()
        assert got == code, f'exit code {got}\n{output[-4000:]}'
        return output

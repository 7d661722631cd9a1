"""A working directory of faults.py: the options file, the script, a process that trains, and what it leaves."""

from __future__ import annotations

import os
import runpy
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import yaml

MAIN = """
if __name__ == '__main__':
    import os
    from basicsr.train import train_pipeline
    open(f'pid_{os.environ.get("RANK", 0)}', 'w').write(str(os.getpid()))
    train_pipeline(os.getcwd())
"""
VALIDATING = 'validating'  # file that is there while a validation is under way, where the script makes it


class Project:
    """A working directory with the options file and a train.py, as a user has it.

    Args:
        root: The directory; what is in it is removed.
        content: The options.
        script: Code of the train.py before it trains: classes that it registers.
    """

    def __init__(self, root: Path, content: dict[str, Any], script: str = '') -> None:
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        self.root = root
        self.experiment = root / 'experiments/faults'
        (root / 'train.yml').write_text(yaml.safe_dump(content, sort_keys=False))
        (root / 'train.py').write_text('import mg_basicsr\n' + script + MAIN)

    def files(self) -> set[tuple[str, int]]:
        """Names and sizes of what is in the checkpoint folders, half-written files included."""
        found: set[tuple[str, int]] = set()
        for folder in ('models', 'training_states'):
            try:
                with os.scandir(self.experiment / folder) as entries:
                    found |= {(f'{folder}/{entry.name}', entry.stat().st_size) for entry in entries}
            except FileNotFoundError:  # not there yet, or renamed between the two looks
                pass
        return found

    @property
    def validating(self) -> bool:
        return (self.root / VALIDATING).exists()

    def iterations_logged(self) -> int:
        return sum(path.read_text().count('[eta: ') for path in self.experiment.glob('train_*.log'))

    def start(self, workers: int) -> int:
        """Forks a process, with a group of its own, that trains; returns its id."""
        if self.experiment.exists() and not list(self.experiment.glob('training_states/*.state')):
            time.sleep(1 - time.time() % 1)  # BasicSR puts such a folder aside, under a name that tells the second
        (self.root / VALIDATING).unlink(missing_ok=True)
        pid = os.fork()
        # a group of its own, made by whichever of the two comes first, so that it can be killed at once
        os.setpgid(pid, pid)
        if pid:
            return pid
        status = 1
        try:
            os.chdir(self.root)
            output = os.open('output.txt', os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            for stream in (1, 2):
                os.dup2(output, stream)
            sys.argv = ['train.py', '-opt', 'train.yml', '--auto_resume']
            sys.argv += ['--force_yml', f'datasets:train:num_worker_per_gpu={workers}']
            runpy.run_path('train.py', run_name='__main__')
            status = 0
        except SystemExit as error:
            status = int(error.code or 0)
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def tail(self) -> str:
        return '\n'.join((self.root / 'output.txt').read_text(errors='replace').splitlines()[-25:])

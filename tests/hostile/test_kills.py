"""Signals at random moments: what is continued ends as if nothing had happened, to the bit."""

from __future__ import annotations

import hashlib
import random
import shutil
import signal
from collections import Counter
from pathlib import Path

import pytest

from mg_basicsr.host.stopping import EXIT_CODE
from tests.helpers.checkpoints import first_difference, state
from tests.helpers.hostile import cases
from tests.helpers.project import BLOCK, NewProject, Project
from tests.helpers.trainer import Trainer

# Sends a signal after a time, from a process that does not get it, to this one or to its children; CONT after STOP.
SIGNALLED = """
import os, subprocess
pid, seconds, name = os.getpid(), {seconds}, '{name}'
then = f'; sleep 0.3; kill -CONT {{pid}}' if name == 'STOP' else ''
victims = f'$(pgrep -P {{pid}} | grep -v $$)' if {children} else str(pid)
command = f'sleep {{seconds}}; kill -{{name}} {{victims}} 2>/dev/null{{then}}'
subprocess.Popen(['sh', '-c', command], start_new_session=True)
"""
MAIN = '\nimport sys\nfrom mg_basicsr.cli.main import main\nsys.argv = {arguments}\nmain()\n'
MAKE_CLIPS = """
from pathlib import Path
from mg_basicsr.demo.clips import make_clips
make_clips(Path('made'), 6, 8, (64, 96), 0, lambda gt: gt[::4, ::4].copy())
"""
TRAIN = ['x', 'train', '-opt', 'train.yml', '--auto_resume']
ENDS = {0, -signal.SIGKILL, -signal.SIGTERM, EXIT_CODE, 128 + signal.SIGTERM}  # of a process that got a signal


def signalled(rng: random.Random, most: float, children: bool = False) -> tuple[str, str]:
    """Code that sends a signal within `most` seconds, and the signal's name."""
    name = rng.choice(['KILL', 'KILL', 'TERM', 'STOP'])
    return SIGNALLED.format(seconds=round(rng.uniform(0, most), 3), name=name, children=children), name


def tree(root: Path) -> dict[str, str]:
    """Hashes of all files by name."""
    paths = sorted(path for path in root.rglob('*') if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def check_end(project: Project, undisturbed: Project) -> None:
    """All of the last checkpoint but the best scores: a validation that was interrupted is not repeated."""
    ends = [(run.weights(), state(run, 12)) for run in (project, undisturbed)]
    for _, last in ends:
        last['multigrid'].pop('best_metrics', None)
    assert (found := first_difference(*ends)) is None, found


def small(new_project: NewProject, workers: int) -> Project:
    project = new_project()
    project.shrink(validation=True, num_worker_per_gpu=workers)
    project.options['logger']['save_checkpoint_freq'] = 2
    project.write({**BLOCK, 'check': False})
    return project


def test_training(trainer: Trainer, new_project: NewProject, count: Counter[str]) -> None:
    undisturbed = small(new_project, 0)
    trainer(undisturbed)
    for rng in cases(8):
        project = small(new_project, rng.randint(0, 2))
        for _ in range(rng.randint(1, 4)):
            before, name = signalled(rng, 2.5)
            (project.root / 'train.py').write_text(before + MAIN.format(arguments=TRAIN))
            output = project.root / 'output.txt'
            code = trainer.run(['train.py'], project.root, [output])
            told = output.read_text(errors='replace')
            assert code in ENDS and (name != 'STOP' or code == 0), (name, code, told[-3000:])
            assert 'Traceback' not in told, (name, told[-3000:])
            count[f'SIG{name}, {"trained to the end" if code == 0 else "ended"}'] += 1
        trainer(project, '--auto_resume')
        check_end(project, undisturbed)


def test_workers(trainer: Trainer, new_project: NewProject, count: Counter[str]) -> None:
    """A worker process that is killed, as for memory: the run ends with a message and can be continued."""
    undisturbed = small(new_project, 0)
    trainer(undisturbed)
    for rng in cases(4):
        project = small(new_project, 2)
        before = SIGNALLED.format(seconds=round(rng.uniform(0, 1.5), 3), name='KILL', children=True)
        (project.root / 'train.py').write_text(before + MAIN.format(arguments=['x', 'train', '-opt', 'train.yml']))
        output = project.root / 'output.txt'
        code = trainer.run(['train.py'], project.root, [output])
        told = output.read_text(errors='replace')
        assert code in (0, 1, 2), (code, told[-3000:])
        assert code == 0 or 'killed' in told, told[-3000:]
        trainer(project, '--auto_resume')
        check_end(project, undisturbed)
        count['ended' if code else 'trained to the end'] += 1


@pytest.mark.parametrize('what', ['prepare', 'demo clips'])
def test_making_of_data(trainer: Trainer, new_project: NewProject, clips: Path, what: str, count: Counter[str]) -> None:
    project = new_project()
    roots = ['--gt', f'{clips}/GT', '--lq', f'{clips}/LQ', '-o', 'made', '--workers', '1']
    script = MAKE_CLIPS if what == 'demo clips' else MAIN.format(arguments=['x', 'prepare', *roots])
    made, output = project.root / 'made', project.root / 'output.txt'

    def run(before: str = '') -> int:
        (project.root / 'make.py').write_text(before + script)
        return trainer.run(['make.py'], project.root, [output])

    assert run() == 0, output.read_text()
    whole = tree(made)
    for rng in cases(12):
        shutil.rmtree(made, ignore_errors=True)
        for _ in range(rng.randint(1, 4)):
            before, name = signalled(rng, 0.5)
            code = run(before)
            assert code in ENDS, (name, code, output.read_text()[-3000:])
            count[f'SIG{name}, {"made" if code == 0 else "ended"}'] += 1
        assert run() == 0, output.read_text()
        found = tree(made)
        assert {name: digest for name, digest in found.items() if '.part' not in name} == whole

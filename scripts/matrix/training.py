"""Training through six stages, and the same resumed in their middle; run by the Python of a set.

    python -m scripts.matrix.training FOLDER

Prints one line of JSON: the losses, the stages, and whether the resumed run ended with the same weights, bit for bit.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from tests.helpers.clips import write_set
from tests.helpers.project import Project, same_weights

MIDDLE = 6  # the iteration of the checkpoint that the second run is resumed from, of 12
TRAIN = ('-m', 'mg_basicsr', 'train', '-opt', 'train.yml')


def main(folder: Path) -> None:
    """Train twice in a folder, and print what came of it.

    Args:
        folder: An empty folder.
    """
    project = Project(folder, write_set(folder / 'clips'))
    project.shrink()
    project.write()
    _train(folder)
    losses, log, whole = project.losses(), project.log(), project.weights()
    _forget_after(project.experiment, MIDDLE)
    _train(folder, '--auto_resume')
    found = {
        'losses': losses,
        'stages': log.count('multigrid stage'),
        'resumed': project.losses()[-MIDDLE:] == losses[MIDDLE:] and same_weights(project.weights(), whole),
        'basicsr': next(line.partition('multigrid: ')[2] for line in log.splitlines() if 'multigrid: basicsr' in line),
    }
    print(json.dumps(found))


def _train(folder: Path, *arguments: str) -> None:
    """Train, however long it takes.

    Raises:
        SystemExit: it fails; with the end of its output.
    """
    done = subprocess.run([sys.executable, *TRAIN, *arguments], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])


def _forget_after(experiment: Path, iteration: int) -> None:
    """Delete what a run has saved after an iteration, as if it had been killed then."""
    for path in (*experiment.glob('models/*.pth'), *experiment.glob('training_states/*.state')):
        number = path.stem.rpartition('_')[2]
        if not number.isdigit() or int(number) > iteration:
            path.unlink()
    shutil.rmtree(experiment / 'visualization', ignore_errors=True)


if __name__ == '__main__':
    main(Path(sys.argv[1]))

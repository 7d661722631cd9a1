"""Every way in, from inside a clone of BasicSR that was not built: the same run, on one rank and on two.

    MG_BASICSR_CLONE=path/to/BasicSR python -m pytest tests/integration/test_in_a_clone.py -m slow

The clone is copied; tests/unit/host/entry/test_search_path.py has the same with a small stand-in.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.project import Project, same_weights
from tests.helpers.ranks import reserved_port
from tests.helpers.trainer import ENVIRONMENT, SECONDS

CLONE = os.environ.get('MG_BASICSR_CLONE', '')
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CLONE, reason='set MG_BASICSR_CLONE to a clone of BasicSR'),
]
EXECUTABLE = [sys.executable, str(Path(sys.executable).with_name('mg-basicsr'))]
TORCHRUN = [sys.executable, '-m', 'torch.distributed.run', '--nproc_per_node=2', '--rdzv_backend=c10d']
TORCHRUN += ['--rdzv_endpoint=localhost:0', '--master_port=0']
ONE = {
    'mg-basicsr train': [*EXECUTABLE, 'train'],
    'python -m mg_basicsr train': [sys.executable, '-m', 'mg_basicsr', 'train'],
    'mg-basicsr run': [*EXECUTABLE, 'run', 'basicsr/train.py'],
    'python -m mg_basicsr run': [sys.executable, '-m', 'mg_basicsr', 'run', 'basicsr/train.py'],
    'python basicsr/train.py': [sys.executable, 'basicsr/train.py'],
}
TWO = {
    'torchrun -m mg_basicsr train': [*TORCHRUN, '-m', 'mg_basicsr', 'train'],
    'torchrun -m mg_basicsr run': [*TORCHRUN, '-m', 'mg_basicsr', 'run', 'basicsr/train.py'],
    'torchrun basicsr/train.py': [*TORCHRUN, 'basicsr/train.py'],
    'scripts/dist_train.sh': ['bash', 'scripts/dist_train.sh', '2', 'train.yml'],
}


@pytest.fixture(scope='module')
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('clone')
    for name in ('basicsr', 'scripts'):
        shutil.copytree(Path(CLONE, name), folder / name)
    shutil.copy(Path(CLONE, 'VERSION'), folder)
    (folder / 'basicsr/version.py').unlink(missing_ok=True)
    script = folder / 'basicsr/train.py'
    script.write_text('import mg_basicsr\n' + script.read_text())
    return folder


def run(clone: Path, clips: Path, name: str, command: list[str], *arguments: str, **environment: str) -> Project:
    """Train in the clone, and return the project with the experiment."""
    project = Project(clone, clips)
    project.shrink()
    project.options['name'] = name
    project.write()
    given = [] if 'train.yml' in command else ['-opt', 'train.yml', *arguments]
    env = {**os.environ, **ENVIRONMENT, 'PATH': f'{Path(sys.executable).parent}:{os.environ["PATH"]}', **environment}
    done = subprocess.run([*command, *given], cwd=clone, env=env, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr[-3000:]
    return project


@pytest.fixture(scope='module')
def weights(clone: Path, clips: Path) -> dict[str, Any]:
    """Weights of a run on one rank."""
    return run(clone, clips, 'one', ONE['mg-basicsr train']).weights()


@pytest.fixture(scope='module')
def weights_of_two(clone: Path, clips: Path) -> dict[str, Any]:
    """Weights of a run on two ranks."""
    return run(clone, clips, 'two', TWO['torchrun -m mg_basicsr train'], '--launcher', 'pytorch').weights()


# a script of the clone is not trained with the installed one
PATHS = [(way, path) for way in ONE for path in ('', '.') if path or way.endswith('train')]


@pytest.mark.parametrize(('way', 'path'), PATHS)
def test_one_rank(clone: Path, clips: Path, weights: dict[str, Any], way: str, path: str) -> None:
    environment = {'PYTHONPATH': os.pathsep.join(filter(None, [path, os.environ['PYTHONPATH']]))}
    done = run(clone, clips, f'one_{list(ONE).index(way)}{path}', ONE[way], **environment)
    assert len(done.losses()) == 12
    assert same_weights(done.weights(), weights)
    assert f'{clone}/basicsr ({"PYTHONPATH" if path else "the working directory"})' in done.log()


@pytest.mark.parametrize('way', TWO)
def test_two_ranks(clone: Path, clips: Path, weights_of_two: dict[str, Any], way: str) -> None:
    with reserved_port() as reserved:
        port = str(reserved.getsockname()[1])
    path = os.pathsep.join(['.', os.environ['PYTHONPATH']])
    done = run(
        clone, clips, f'two_{list(TWO).index(way)}', TWO[way], '--launcher', 'pytorch', PORT=port, PYTHONPATH=path
    )
    assert same_weights(done.weights(), weights_of_two)

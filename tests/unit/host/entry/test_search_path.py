"""Which basicsr is imported: the same by every way in, from inside a clone that was not built, or a repository."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mg_basicsr.host.entry.search_path import unify_search_path

ROOT = Path(__file__).parents[4]
# stands in for BasicSR's training: prints where it was imported from, its version, and the search path
TRAIN = """
import json, os, sys
import basicsr
import basicsr.utils.options
from basicsr.version import __version__

def train_pipeline(root):
    print(json.dumps([os.path.dirname(basicsr.__file__), __version__, sys.path, sys.argv[1:]]))

if __name__ == '__main__':
    train_pipeline('.')
"""
PACKAGE = {
    'basicsr/__init__.py': 'from .utils import *\nfrom .version import __version__\n',
    'basicsr/utils/__init__.py': 'from .dist_util import *\n',
    'basicsr/utils/dist_util.py': '',
    'basicsr/utils/options.py': '',
    'basicsr/train.py': TRAIN,
}
EXECUTABLE = 'import sys\nfrom mg_basicsr.cli.main import main\nsys.exit(main())\n'
WAYS = {
    'mg-basicsr': ['bin/mg-basicsr', 'train'],
    'python -m': ['-m', 'mg_basicsr', 'train'],
    'run': ['-m', 'mg_basicsr', 'run', 'basicsr/train.py'],
    'mg-basicsr run': ['bin/mg-basicsr', 'run', 'basicsr/train.py'],
    'import': ['-c', f'import mg_basicsr\n{TRAIN.replace("__main__", "__never__")}\ntrain_pipeline(".")'],
}


def write_package(folder: Path, **files: str) -> Path:
    for name, text in {**PACKAGE, **files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Return a clone of BasicSR that was not built, with an options file, the working directory of all tests."""
    clone = write_package(tmp_path / 'clone', VERSION='1.5.0\n')
    (clone / 'x.yml').write_text('name: x\n')
    (clone / 'bin').mkdir()
    (clone / 'bin/mg-basicsr').write_text(EXECUTABLE)
    return clone


def started(clone: Path, way: str, *path: str) -> tuple[str, str, list[str]]:
    env = {**os.environ, 'PYTHONPATH': os.pathsep.join([*path, str(ROOT)])}
    command = [sys.executable, *WAYS[way], '-opt', 'x.yml']
    done = subprocess.run(command, cwd=clone, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    folder, version, search_path, _ = json.loads(done.stdout)
    return folder, version, search_path


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    return write_package(tmp_path / 'installed', **{'basicsr/version.py': "__version__ = '1.4.2'\n"})


@pytest.mark.parametrize('way', [way for way in WAYS if way != 'import'])
def test_the_installed_one_is_used_in_a_clone(clone: Path, installed: Path, way: str) -> None:
    folder, version, search_path = started(clone, way, str(installed))
    assert (folder, version) == (f'{installed}/basicsr', '1.4.2')
    scripts = [f'{clone}/basicsr'] if 'run' in way else []
    first = [*scripts, str(installed), str(ROOT)]
    assert search_path[: len(first)] == first and search_path[-1] == str(clone)


@pytest.mark.parametrize('way', ['python -m', 'import'])
def test_a_clone_that_was_not_built_is_used_where_it_comes_first(clone: Path, installed: Path, way: str) -> None:
    assert started(clone, way, '.', str(installed))[:2] == (f'{clone}/basicsr', '1.5.0')


BEFORE_AND_AFTER = [['basicsr/train.py', '--local-rank=1'], ['-m', 'mg_basicsr', '--local-rank=1', 'train']]


@pytest.mark.parametrize('arguments', BEFORE_AND_AFTER)
def test_the_flag_of_basicsrs_run_script(clone: Path, installed: Path, arguments: list[str]) -> None:
    """torch.distributed.launch puts it before all other arguments; BasicSR's parser knows another spelling."""
    text = (clone / 'basicsr/train.py').read_text()
    (clone / 'basicsr/train.py').write_text(f'import mg_basicsr\n{text}')
    env = {**os.environ, 'PYTHONPATH': os.pathsep.join([str(installed), str(ROOT)])}
    command = [sys.executable, *arguments, '-opt', 'x.yml']
    done = subprocess.run(command, cwd=clone, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    given = json.loads(done.stdout)[3]
    assert '--local-rank=1' not in given and given[given.index('-opt') + 1] == 'x.yml'


@pytest.mark.parametrize('first', ['here', 'elsewhere'])
def test_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, first: str) -> None:
    monkeypatch.chdir(tmp_path)
    before = str(tmp_path) if first == 'here' else '/elsewhere'
    monkeypatch.setattr(sys, 'path', [before, '/b', '/c'])
    unify_search_path()
    assert sys.path == [*([] if first == 'here' else ['/elsewhere']), '/b', '/c', str(tmp_path)]
    unify_search_path()
    assert sys.path[-1] == str(tmp_path)

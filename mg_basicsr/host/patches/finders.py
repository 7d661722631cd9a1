"""Finders of modules: for those that BasicSR and its copies lack today, and for the basicsr that PYTHONPATH names.

Modules that are gone, or were never written, are provided by a finder at the end of sys.meta_path, so only where every
other one has nothing. Each entry of `PROVIDED` is dated, and names its reason and the condition under which it can be
removed. `host/entry/which_basicsr.py` has the rule that the other finder is for.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Callable, Sequence
from functools import total_ordering
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

VERSION_FILE = 'VERSION'  # in the repository of a basicsr, beside the package


@total_ordering
class LooseVersion:
    """Version number that is compared part by part: numbers as numbers, and above words.

    >>> LooseVersion('0.10.0+cu118') >= LooseVersion('0.9.0')
    True

    Args:
        vstring: The number, such as '0.29.1+cu130'.
    """

    def __init__(self, vstring: str) -> None:
        self.vstring = vstring
        self.version = [int(part) if part.isdigit() else part for part in re.findall(r'\d+|[a-z]+', vstring)]

    def __str__(self) -> str:
        return self.vstring

    def __eq__(self, other: object) -> bool:
        return self._key() == LooseVersion(str(other))._key()

    def __lt__(self, other: object) -> bool:
        return self._key() < LooseVersion(str(other))._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[tuple[bool, int, str], ...]:
        return tuple((True, part, '') if isinstance(part, int) else (False, 0, part) for part in self.version)


def version_beside(folders: Sequence[str]) -> str | None:
    """Return the content of the file VERSION beside a package; None without one.

    Args:
        folders: Folders of the package.
    """
    for folder in folders:
        try:
            return Path(folder).parent.joinpath(VERSION_FILE).read_text(encoding='utf-8').strip()
        except (OSError, ValueError):
            continue
    return None


def _names_of(module: str) -> Callable[[], dict[str, Any]]:
    """Return a function that returns the names in a module, which it imports."""

    def names() -> dict[str, Any]:
        return {name: value for name, value in vars(importlib.import_module(module)).items() if name[:2] != '__'}

    return names


def _version_of_the_clone() -> dict[str, Any]:
    """Return what version.py would hold, by the file VERSION of the repository."""
    return {'__version__': version_beside(sys.modules['basicsr'].__path__) or 'unknown', '__gitsha__': 'unknown'}


class Provided(NamedTuple):
    """Module that is provided where it is missing.

    Attributes:
        names: Returns what is in it.
        reason: Why it can be missing.
        needs: Module that must be loaded, so that other programs get no stand-in.
    """

    names: Callable[[], dict[str, Any]]
    reason: str
    needs: str = 'basicsr'


_DISTUTILS = 'gone from Python 3.12, where setuptools, which has a copy, may be missing'

PROVIDED: dict[str, Provided] = {
    # 2026-11. Until no BasicSR that imports it is supported; its git head has the new name.
    'torchvision.transforms.functional_tensor': Provided(
        _names_of('torchvision.transforms.functional'),
        'gone from torchvision 0.17, and imported by BasicSR up to 1.4.2',
        needs='torchvision.transforms',
    ),
    # 2026-11. Until BasicSR, whose git head has it too, compares versions by another module.
    'distutils': Provided(dict, _DISTUTILS),
    'distutils.version': Provided(lambda: {'LooseVersion': LooseVersion}, _DISTUTILS),
    # 2026-11. Until no BasicSR up to 1.4.2 is supported.
    'scipy.ndimage.filters': Provided(_names_of('scipy.ndimage'), 'the old place of functions of scipy.ndimage'),
    # 2026-11. Until BasicSR has the file in its repository: setup.py writes it.
    'basicsr.version': Provided(_version_of_the_clone, 'not written, since this basicsr has not been built'),
}


class MissingModules(MetaPathFinder, Loader):
    """Finder and loader of the modules of `PROVIDED`."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return a spec for a module of the table if the module that it is for is loaded; else None.

        Args:
            fullname: Name of the module that is imported.
            path: Folders of its package; None for a module outside of packages.
            target: The module, where it is loaded again.
        """
        provided = PROVIDED.get(fullname)
        if provided is None or provided.needs not in sys.modules:
            return None
        return ModuleSpec(fullname, self, origin=provided.reason, is_package=fullname == 'distutils')

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the module, recorded as a patch."""
        from mg_basicsr.patching import replace  # `import mg_basicsr` loads little

        provided = PROVIDED[spec.name]
        module = ModuleType(spec.name, f'Stand-in: {provided.reason}.')
        module.__dict__.update(provided.names())
        replace(sys.modules, spec.name, module, provided.reason)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: the module is complete."""


def is_package(folder: Path) -> bool:
    """Return whether a folder has what every basicsr has: folders of data, and clones, have the name too."""
    return folder.joinpath('models').is_dir() and folder.joinpath('utils').is_dir()


def python_path() -> list[Path]:
    """Return the folders of PYTHONPATH, with links resolved."""
    return [Path(folder).resolve() for folder in os.environ.get('PYTHONPATH', '').split(os.pathsep) if folder]


class FirstOfPythonPath(MetaPathFinder):
    """Finder of a basicsr without `__init__.py` in a folder of PYTHONPATH, before a whole one in a later folder."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of such a package; None for everything else.

        Args:
            fullname: Name of the module that is imported.
            path: Folders of its package; None for a module outside of packages.
            target: The module, where it is loaded again.
        """
        if fullname != 'basicsr':
            return None
        told = python_path()
        for folder in map(Path, sys.path):
            package = folder / 'basicsr'
            if (package / '__init__.py').exists():
                return None
            if folder.resolve() in told and is_package(package):
                spec = ModuleSpec(fullname, None, is_package=True)
                spec.submodule_search_locations = [str(package.absolute())]
                return spec
        return None


def add_finders() -> None:
    """Add both finders to sys.meta_path, once."""
    if not any(isinstance(finder, MissingModules) for finder in sys.meta_path):
        sys.meta_path.insert(0, FirstOfPythonPath())
        sys.meta_path.append(MissingModules())

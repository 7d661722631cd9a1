"""Shims for a clone of BasicSR that is used without being built, and for the script by which it starts several ranks.

Dated and used like those of `compat.py`, which has them in its table.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from mg_basicsr.patching import replace

LAUNCHER_FLAG = '--local-rank'


def version(dist_util: ModuleType) -> None:
    """Provide `basicsr.version` where the file is missing, with the version that the clone's VERSION has.

    2026-11. BasicSR's setup.py writes version.py; without it `import basicsr` fails, and so does the head of its log.
    Can be removed when BasicSR has the file in its repository.
    """
    name = dist_util.__name__.partition('.')[0]
    package, module = sys.modules.get(name), f'{name}.version'
    if package is None or module in sys.modules or importlib.util.find_spec(module) is not None:
        return
    made = ModuleType(module)
    made.__dict__.update(__version__=_version(package), __gitsha__='unknown')
    reason = 'not written, since this basicsr has not been built'
    replace(sys.modules, module, made, reason)
    replace(package, 'version', made, reason)


def _version(package: ModuleType) -> str:
    for folder in package.__path__:
        try:
            return Path(folder).parent.joinpath('VERSION').read_text(encoding='utf-8').strip()
        except (OSError, ValueError):
            continue
    return 'unknown'


def local_rank(options: ModuleType) -> None:
    """Spell the launcher's `--local-rank` as BasicSR's parser knows it.

    2026-11. `torch.distributed.launch`, which BasicSR's scripts/dist_train.sh uses, passes `--local-rank` from torch
    2.0 on. Can be removed when BasicSR's parser takes it.
    """
    for index, argument in enumerate(sys.argv):
        if argument == LAUNCHER_FLAG or argument.startswith(f'{LAUNCHER_FLAG}='):
            sys.argv[index] = argument.replace('-rank', '_rank', 1)

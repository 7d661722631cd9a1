"""What every benchmark says about itself: the machine, the versions, the commit, and the command."""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / 'results'


def machine(*packages: str) -> dict[str, Any]:
    """Where and with what something was measured; `packages` are distributions whose versions matter."""
    import torch

    info = Path('/proc/cpuinfo')
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.split(':')[1].strip() for line in lines if line.startswith('model name')]
    hardware: dict[str, Any] = {'cpu': models[0] if models else platform.processor(), 'cores': os.cpu_count()}
    if torch.cuda.is_available():
        hardware['gpu'] = torch.cuda.get_device_name()
    git = shutil.which('git')
    here = Path(__file__).parent
    commit = git and subprocess.run([git, 'rev-parse', 'HEAD'], cwd=here, capture_output=True, text=True, check=False)
    return {
        'machine': {**hardware, 'threads': torch.get_num_threads()},
        'load': [round(value, 2) for value in os.getloadavg()],
        'versions': {'python': platform.python_version(), **{name: _version(name) for name in packages}},
        'commit': commit.stdout.strip() if commit else '',
        'command': shlex.join(['python', f'benchmarks/{Path(sys.argv[0]).name}', *_arguments()]),
    }


def _arguments() -> list[str]:
    """The command's arguments, without those that say where things are on this machine."""
    given = sys.argv[1:]
    places = [n for n, argument in enumerate(given) if argument in ('--output', '--work', '--video')]
    return [argument for n, argument in enumerate(given) if n not in places and n - 1 not in places]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return 'not installed'

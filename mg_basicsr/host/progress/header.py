"""Header of a run's log and record: all that is needed to repeat it."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mg_basicsr._version import __version__

GIT_SECONDS = 5  # after which a repository on a slow disk is left out


def header(plan_record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the command, its folder, versions, commits and the plan's hash.

    Args:
        plan_record: Record of the plan, the same as in checkpoints.
    """
    return {
        'command': command_as_typed(sys.orig_argv, os.environ),
        'folder': os.getcwd(),
        'versions': versions(),
        'commits': commits(Path.cwd(), Path(__file__).parents[2]),
        'plan': short_hash(plan_record),
    }


def header_lines(facts: Mapping[str, Any]) -> list[str]:
    """Return a header as lines for the log.

    Args:
        facts: What `header` returns.
    """
    named = ', '.join(f'{name} {version}' for name, version in facts['versions'].items())
    commits = ''.join(f', commit {commit} of {name}' for name, commit in facts['commits'].items())
    return [f'command: {facts["command"]}', f'in {facts["folder"]}', f'{named}{commits}', f'plan {facts["plan"]}']


def command_as_typed(argv: Sequence[str], environment: Mapping[str, str]) -> str:
    """Return the command of a process as it can be typed again.

    >>> command_as_typed(['/usr/bin/python3', '/home/a/.venv/bin/mg-basicsr', 'train', '-opt', 'a b.yml'], {})
    "mg-basicsr train -opt 'a b.yml'"
    >>> ranks = {'TORCHELASTIC_RUN_ID': 'none', 'LOCAL_WORLD_SIZE': '2', 'WORLD_SIZE': '2'}
    >>> command_as_typed(['/usr/bin/python3', '-u', '-m', 'mg_basicsr', 'train', '-opt', 'a.yml'], ranks)
    'torchrun --nproc_per_node=2 -m mg_basicsr train -opt a.yml'

    Args:
        argv: Arguments of the process, the interpreter's included (sys.orig_argv).
        environment: Its environment, in which launchers leave the number of ranks.
    """
    python, *arguments = argv or ['python']
    if 'TORCHELASTIC_RUN_ID' in environment:
        here, ranks = int(environment.get('LOCAL_WORLD_SIZE', 1)), int(environment.get('WORLD_SIZE', 1))
        nodes = [f'--nnodes={ranks // here}'] if ranks > here else []
        start = ['torchrun', *nodes, f'--nproc_per_node={here}']
        arguments = arguments[1:] if arguments[:1] == ['-u'] else arguments  # torchrun adds it
    else:
        tasks = environment.get('SLURM_STEP_NUM_TASKS', '1')
        start = ['srun', '-n', tasks] if tasks.isdigit() and int(tasks) > 1 else []
        if arguments and Path(arguments[0]).name == 'mg-basicsr':
            arguments = ['mg-basicsr', *arguments[1:]]
        else:
            start = [*start, 'python' if Path(python).name.startswith('python') else python]
    return shlex.join([*start, *arguments])


def versions() -> dict[str, str]:
    """Return the versions of this package and of what it runs on, if loaded."""
    found = {'mg-basicsr': __version__}
    for name in ('basicsr', 'torch'):
        module = sys.modules.get(name)
        if module is not None:
            found[name] = str(getattr(module, '__version__', 'without a version'))
    return {**found, 'python': platform.python_version()}


def commits(*folders: Path) -> dict[str, str]:
    """Return the commits of the git repositories that folders are in, by the name of the repository's folder.

    A commit ends in `-dirty` where files have been changed since.

    Args:
        folders: The folders; those that are in no repository are left out.
    """
    found = {}
    for folder in folders:
        root = _git(folder, 'rev-parse', '--show-toplevel')
        commit = root and _git(folder, 'describe', '--always', '--dirty', '--exclude=*', '--abbrev=12')
        if root and commit:
            found[Path(root).name] = commit
    return found


def short_hash(value: Any) -> str:
    """Return 12 hexadecimal digits that are the same for equal plain data, and differ otherwise."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:12]


def _git(folder: Path, *arguments: str) -> str | None:
    git = shutil.which('git')
    if git is None:
        return None
    try:
        done = subprocess.run(
            [git, '-C', str(folder), *arguments], capture_output=True, text=True, timeout=GIT_SECONDS, check=False
        )
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None

"""Copies of checkouts to train in, and what a run has left in them."""

from __future__ import annotations

import subprocess
from pathlib import Path

# What training scripts leave in their own folder, with the block or without
OUTPUTS = ('experiments', 'tb_logger', 'wandb', 'logs', 'results', '__pycache__')
VERSION = "__version__ = '{version}'\n__gitsha__ = '{commit}'\nversion_info = ({numbers})\n"


def checkout_of(folder: Path, repository: str) -> Path | None:
    """A checkout below a folder: `owner+name`, `owner/name` or `name`; None without one."""
    owner, name = repository.split('/')
    places = (folder / f'{owner}+{name}', folder / owner / name, folder / name)
    return next((place for place in places if (place / '.git').exists()), None)


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(['git', '-C', str(folder), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip('\n')


def copy_of(checkout: Path, target: Path) -> Path:
    """A copy of a checkout's commit, in which nobody has edited anything, set up as its `setup.py develop` does it.

    Files that the checkout's repository lacks, such as large ones of a partial clone, are missing in it.
    """
    subprocess.run(['git', 'clone', '-q', '--shared', '--no-checkout', str(checkout), str(target)], check=True)
    git(target, 'read-tree', 'HEAD')
    subprocess.run(['git', '-C', str(target), 'checkout-index', '-a', '-q'], stderr=subprocess.DEVNULL)
    for name in git(target, 'ls-files', '-d').splitlines():
        git(target, 'update-index', '--skip-worktree', name)
    for package in target.glob('*/__init__.py'):
        version = package.parent / 'version.py'
        if 'version' in package.read_text() and not version.exists():
            found = [path for path in (target / 'VERSION', package.parent / 'VERSION') if path.exists()]
            number = found[0].read_text().strip() if found else '0.0.0'
            numbers = ', '.join(part if part.isdigit() else f"'{part}'" for part in number.split('.'))
            version.write_text(VERSION.format(version=number, numbers=numbers, commit=git(target, 'rev-parse', 'HEAD')))
    return target


def left_behind(copy: Path) -> list[str]:
    """Files of a copy that were changed or made, without outputs of trainings, and without what is made by a set-up."""
    lines = git(copy, 'status', '--porcelain', '--untracked-files=all').splitlines()
    names = [line[3:] for line in lines]
    made = [name for name in names if Path(name).name == 'version.py']
    return [name for name in names if name not in made and not any(part in OUTPUTS for part in Path(name).parts[:-1])]

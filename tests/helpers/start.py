"""Start of a run in this process, up to the point where the host writes its first file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from mg_basicsr.errors import MultigridError, Problem
from mg_basicsr.host.entry import start
from mg_basicsr.host.entry.command_line import parse_command_line
from mg_basicsr.host.entry.start import start_run
from mg_basicsr.host.install import install
from mg_basicsr.host.run import activate
from mg_basicsr.host.trial.rehearsal import rehearse
from mg_basicsr.patching import replaced


def problems_at_start(options: Mapping[str, Any], folder: Path) -> tuple[Problem, ...]:
    """Return what is wrong with options, as the start of `mg-basicsr train` finds it. Nothing may be written.

    Any other exception is one that a user would see as a traceback.
    """
    install()
    from basicsr.utils.options import parse_options

    path = folder / 'train.yml'
    path.write_text(yaml.safe_dump(dict(options), sort_keys=False))
    before = written(folder)
    try:
        with in_folder(folder, ['train.py', '-opt', str(path)]), replaced(start, 'end_in_order_at_exit', not_at_exit):
            run = start_run(parse_command_line(sys.argv[1:]), whole=True)
            assert run is not None
            parsed, _ = parse_options(os.getcwd())
            return tuple(rehearse(run.specification, parsed))
    except MultigridError as error:
        return error.problems
    finally:
        activate(None)
        assert written(folder) == before


def written(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob('*'))


@contextmanager
def in_folder(folder: Path, arguments: list[str]) -> Iterator[None]:
    kept, sys.argv, here = sys.argv, arguments, os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(here)
        sys.argv = kept


def not_at_exit(run: Any) -> None:
    """Register nothing: of a thousand runs in one process, the end would take minutes."""

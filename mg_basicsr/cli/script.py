"""`mg-basicsr run train.py ...`: run a repository's own training script, unedited."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mg_basicsr.errors import ConfigError, Problem
from mg_basicsr.host.entry.command_line import parse_command_line
from mg_basicsr.host.entry.script import run_script
from mg_basicsr.host.entry.search_path import put_first
from mg_basicsr.host.entry.start import start_before_imports
from mg_basicsr.host.run import active_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument('script', type=Path, help='the training script')
    parser.add_argument('arguments', nargs=argparse.REMAINDER, help="the script's own arguments")


def run(arguments: argparse.Namespace) -> int:
    """Plan the run that the script's arguments describe, run the script, and return the exit code.

    Raises:
        ConfigError: there is no such script, or its options file cannot be planned.
        MultigridError: the same, found when the script has ended without reading the file.
    """
    script: Path = arguments.script
    if not script.is_file():
        raise ConfigError(Problem(f'run {script}', 'no such file', 'needed: the path of a training script'))
    sys.argv[:] = [str(script), *arguments.arguments]  # as python train.py ... would set it
    put_first(script)
    error = start_before_imports(parse_command_line(arguments.arguments))
    run_script(script)
    if error is not None and active_run() is None:  # the script has not read the file as all known ones do
        raise error
    return 0

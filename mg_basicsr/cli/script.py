"""`mg-basicsr run train.py ...`: any repository's own training script, unedited."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mg_basicsr.errors import ConfigError, Problem
from mg_basicsr.host.entry.script import run_script
from mg_basicsr.host.patches.planned_options import parse_command_line, prepare


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('script', type=Path, help='the training script')
    parser.add_argument('arguments', nargs=argparse.REMAINDER, help="the script's own arguments")


def run(arguments: argparse.Namespace) -> int:
    script: Path = arguments.script
    if not script.is_file():
        raise ConfigError(Problem(f'run {script}', 'no such file', 'needed: the path of a training script'))
    sys.argv[:] = [str(script), *arguments.arguments]
    prepare(parse_command_line(arguments.arguments))
    run_script(script)
    return 0

"""`mg-basicsr train`: run BasicSR's train_pipeline in the working directory, with the flags of its train.py."""

from __future__ import annotations

import argparse
import sys

from mg_basicsr.host.entry.basicsr_train import train
from mg_basicsr.host.entry.command_line import parse_command_line
from mg_basicsr.host.entry.launcher import check_meeting
from mg_basicsr.host.entry.start import start_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument('-opt', '--opt', required=True, help='the options file')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm'], default='none')
    parser.add_argument('--auto_resume', action='store_true')
    parser.add_argument('--debug', action='store_true')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
    parser.add_argument('--force_yml', nargs='+', default=[], metavar='key:key=value')


def run(arguments: argparse.Namespace) -> int:
    """Plan the run, train it, and return the exit code."""
    # BasicSR parses the command line again itself, so it gets the one of its train.py.
    argv = ['-opt', arguments.opt, '--launcher', arguments.launcher, '--local_rank', str(arguments.local_rank)]
    argv += [flag for flag in ('--auto_resume', '--debug') if getattr(arguments, flag[2:])]
    argv += ['--force_yml', *arguments.force_yml] if arguments.force_yml else []
    sys.argv[1:] = argv
    if start_run(parse_command_line(argv), whole=True):
        check_meeting(arguments.launcher)
    train()
    return 0

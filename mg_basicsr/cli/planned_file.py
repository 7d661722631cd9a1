"""Arguments of commands that plan an options file for a number of ranks."""

from __future__ import annotations

import argparse
import sys

from mg_basicsr.config.advice import advice
from mg_basicsr.config.resolve import Settings
from mg_basicsr.errors import ConfigError, Problem
from mg_basicsr.parsing.options_file import OptionsFile, load_options


def add_file_arguments(parser: argparse.ArgumentParser, world_size: str) -> None:
    """Add -opt, --world-size and --force_yml.

    Args:
        parser: Parser of the command.
        world_size: Help text of --world-size.
    """
    parser.add_argument('-opt', '--opt', help='the options file')
    parser.add_argument('--world-size', type=int, help=world_size)
    parser.add_argument('--force_yml', nargs='+', default=[], metavar='key:key=value')


def load_file(arguments: argparse.Namespace) -> OptionsFile:
    """Load the options file that the arguments name.

    Raises:
        ConfigError: no file is named, it cannot be read, or the number of ranks is below 1.
    """
    if arguments.opt is None:
        raise ConfigError(Problem('-opt', 'missing', 'needed: the options file', 'give -opt X.yml'))
    if arguments.world_size is not None and arguments.world_size < 1:
        remedy = 'give the number of processes that will train'
        raise ConfigError(Problem('--world-size', f'{arguments.world_size}', 'allowed: an integer >= 1', remedy))
    return load_options(arguments.opt, arguments.force_yml)


def print_advice(file: OptionsFile, settings: Settings) -> None:
    """Print warnings about a plan to standard error: standard output is for the result.

    Args:
        file: The options file.
        settings: The file, resolved.
    """
    for warning in advice(file, settings):
        print(f'warning: {warning}', file=sys.stderr)

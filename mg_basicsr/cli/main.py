"""Command line: `mg-basicsr COMMAND ...`. A command's module is imported only when the command is called."""

from __future__ import annotations

import argparse
import importlib
import io
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from mg_basicsr._version import __version__
from mg_basicsr.errors import MultigridError, fail
from mg_basicsr.host.entry.search_path import unify_search_path

# name: (module in this folder, one line of help); a module has `add_arguments(parser)` and `run(arguments) -> int`
COMMANDS = {
    'plan': ('plan', 'the stages, shapes and rates of an options file, and their cost against the baseline'),
    'check': ('check', 'try everything that could fail later, every shape above all; time and memory per shape'),
    'train': ('train', "train an options file, with the flags of BasicSR's train.py"),
    'run': ('script', "run a repository's own training script, unedited"),
    'convert': ('convert', 'add a multigrid block to an options file'),
    'schema': ('schema', 'a JSON schema of options files with the block, by which editors complete and check it'),
    'prepare': ('prepare', 'build a store, from which crops are read without decoding whole frames'),
    'report': ('report', 'experiments side by side: scores against hours, throughput, options; one page'),
    'demo': ('demo', 'train a small network with and without the block, on clips that the package makes itself'),
}

TRAINING = ('train', 'run')
INTERRUPTED = 130  # 128 + SIGINT, as shells count
BROKEN_PIPE = 141  # 128 + SIGPIPE


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the arguments, run the command, and end the process with its exit code.

    A command that trains nothing exits with 130 when it is interrupted, and 141 when its output is no longer read.

    Args:
        argv: Arguments; by default those of the process.

    Raises:
        SystemExit: with code 0, 2 for a user's error, or one of those above.
        BrokenPipeError: a command that trains writes to a closed pipe.
        KeyboardInterrupt: a command that trains is interrupted.
    """
    if argv is None:
        unify_search_path()
        argv = sys.argv[1:]
        if argv and argv[0].startswith('--local-rank='):  # put there by torch.distributed.launch, and in LOCAL_RANK
            del argv[0]
    argv = list(argv)
    parser = argparse.ArgumentParser(
        prog='mg-basicsr', description='Multigrid training for BasicSR.', allow_abbrev=False
    )
    parser.add_argument('--version', action='version', version=f'mg-basicsr {__version__}')
    commands = parser.add_subparsers(dest='command', metavar='COMMAND', required=True)
    for name, (_, text) in COMMANDS.items():
        commands.add_parser(name, help=text, add_help=False)
    if not argv or argv[0] not in COMMANDS:
        parser.parse_args(argv)  # prints help, version, or what is wrong

    # Not a subparser: its arguments are known only after its module is imported, which takes seconds for some.
    name = argv[0]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal may know ASCII alone
            stream.reconfigure(errors='backslashreplace')
    try:
        raise SystemExit(_execute(name, argv[1:]))
    except MultigridError as error:
        fail(error)
    except BrokenPipeError:
        if name in TRAINING:
            raise
        _leave_pipe()
    except KeyboardInterrupt:
        if name in TRAINING:  # what a script does with it is its own
            raise
        print('\ninterrupted', file=sys.stderr, flush=True)
        raise SystemExit(INTERRUPTED) from None


def _execute(name: str, argv: Sequence[str]) -> int:
    """Run a command with its arguments, and return its exit code."""
    module = importlib.import_module(f'mg_basicsr.cli.{COMMANDS[name][0]}')
    command = argparse.ArgumentParser(prog=f'mg-basicsr {name}', description=COMMANDS[name][1], allow_abbrev=False)
    module.add_arguments(command)
    code: int = module.run(command.parse_args(argv))
    sys.stdout.flush()  # here, so that a pipe that is closed is noticed before the interpreter ends
    return code


def _leave_pipe() -> NoReturn:
    """End quietly where the reader of the output has gone, as `head` does.

    Raises:
        SystemExit: always, with code 141.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is still in the buffer
    raise SystemExit(BROKEN_PIPE)

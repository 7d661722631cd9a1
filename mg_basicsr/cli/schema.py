"""`mg-basicsr schema`: print a JSON schema of options files with the block, or write it to a file."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from mg_basicsr.atomic_files import write_whole
from mg_basicsr.config.schema import file_schema, is_schema
from mg_basicsr.errors import ConfigError, Problem


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument('-o', '--output', type=Path, metavar='FILE', help='write it there (default: print it)')


def run(arguments: argparse.Namespace) -> int:
    """Print or write the schema, and return the exit code.

    Raises:
        ConfigError: the file cannot be written, or holds something else.
    """
    text = json.dumps(file_schema(), indent=2)
    path: Path | None = arguments.output
    if path is None:
        print(text)
        return 0
    if path.exists() and not is_schema(path):
        what = 'exists, and is not such a schema'
        raise ConfigError(Problem(f'-o {path}', what, 'allowed: a new file', 'give another name'))
    try:
        write_whole(path, text + '\n')
    except OSError as error:
        what, needed = f'{error.strerror}', 'needed: a path to write to'
        raise ConfigError(Problem(f'-o {path}', what, needed, 'give another name')) from None
    print(f'wrote {path}')
    return 0

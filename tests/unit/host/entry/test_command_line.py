"""BasicSR's flags, found among the arguments of any script."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mg_basicsr.host.entry.command_line import CommandLine, parse_command_line

NOTHING = CommandLine(None, 'none', (), False, ())


@pytest.mark.parametrize(
    ('argv', 'expected'),
    [
        ([], NOTHING),
        (['-opt', 'x.yml'], CommandLine(Path('x.yml'), 'none', (), False, ('-opt', 'x.yml'))),
        (
            ['--opt=x.yml', '--launcher', 'slurm', '--auto_resume'],
            CommandLine(Path('x.yml'), 'slurm', (), True, ('--opt=x.yml', '--launcher', 'slurm', '--auto_resume')),
        ),
        (
            ['--force_yml', 'a=1', 'b:c=2', '-opt', 'x.yml'],
            CommandLine(Path('x.yml'), 'none', ('a=1', 'b:c=2'), False, ('-opt', 'x.yml')),
        ),
        (
            ['-opt', 'x.yml', '--force_yml=a=1', '--debug'],
            CommandLine(Path('x.yml'), 'none', ('a=1',), False, ('-opt', 'x.yml', '--debug')),
        ),
        (['--local_rank=0', 'file', '--op', 'x'], replace(NOTHING, rest=('--local_rank=0', 'file', '--op', 'x'))),
    ],
    ids=lambda value: ' '.join(value) if isinstance(value, list) else '',
)
def test_flags(argv: list[str], expected: CommandLine) -> None:
    assert parse_command_line(argv) == expected

"""Parser of BasicSR's flags on the command line of any training script."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class CommandLine:
    """Parsed arguments of a training script.

    Attributes:
        opt: The options file; None if the arguments name none.
        launcher: 'none', 'pytorch' or 'slurm'.
        force_yml: `section:key=value` entries.
        auto_resume: Whether to resume from the newest checkpoint.
        rest: Arguments for the script: all except `--force_yml`, which is applied to the file already.
    """

    opt: Path | None
    launcher: str
    force_yml: tuple[str, ...]
    auto_resume: bool
    rest: tuple[str, ...]


def parse_command_line(argv: Sequence[str]) -> CommandLine:
    """Read BasicSR's flags from the arguments of a script, without the program's name. Other flags are ignored."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument('-opt', '--opt')
    parser.add_argument('--launcher', default='none')
    parser.add_argument('--force_yml', nargs='+', default=[])
    parser.add_argument('--auto_resume', action='store_true')
    known, _ = parser.parse_known_args(argv)
    rest: list[str] = []
    skipping = False
    for argument in argv:
        joined = argument.startswith('--force_yml=')
        skipping = argument == '--force_yml' or (skipping and not argument.startswith('-'))
        if not skipping and not joined:
            rest.append(argument)
    opt = Path(known.opt) if known.opt else None
    return CommandLine(opt, known.launcher, tuple(known.force_yml), known.auto_resume, tuple(rest))

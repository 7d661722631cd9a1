"""The package's exceptions: everything that a user or a damaged file can cause.

An error is a list of problems, each told in up to three lines: what is wrong (with the dotted option path or the file,
and the value), what is allowed, and what to do. Programs built on this package can catch `MultigridError`; the command
line prints it without a traceback and leaves with exit code 2.
"""

from __future__ import annotations

from typing import NamedTuple

EXIT_CODE = 2


class Problem(NamedTuple):
    """One thing that is wrong: what it is, what would be right, what to do about it."""

    what: str
    allowed: str = ''
    remedy: str = ''

    def __str__(self) -> str:
        return '\n  '.join(line for line in self if line)


class MultigridError(Exception):
    """Base of all errors that are the input's fault. Holds one or more problems."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__(*problems)  # args = problems: the error survives pickling, so workers can send it

    @property
    def problems(self) -> tuple[Problem, ...]:
        return self.args

    def __str__(self) -> str:
        return '\n'.join(str(problem) for problem in self.problems)


class ConfigError(MultigridError):
    """An options file, its `multigrid:` block, or a command line that cannot be used as it is."""


class DataError(MultigridError):
    """A frame, clip list, database or store that is missing, damaged, or does not fit the options."""


class TrainingError(MultigridError):
    """A model, network or machine that cannot run what the plan asks for."""

"""The package's exceptions: everything that a user or a damaged file can cause.

An error is a list of problems, each told in up to three lines: what is wrong (with the dotted option path or the file,
and the value), what is allowed, and what to do. Programs built on this package can catch `MultigridError`; the command
line prints it without a traceback and ends with exit code 2, and so does whatever the host calls (`fail`,
`ending_cleanly`).
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import NamedTuple, NoReturn, ParamSpec, TypeVar

EXIT_CODE = 2

Parameters = ParamSpec('Parameters')
Result = TypeVar('Result')


class Problem(NamedTuple):
    """One thing that is wrong, as it is printed: `option: what`, then `allowed` and `remedy` on lines of their own.

    Attributes:
        option: What the problem is about: a dotted option path (`multigrid.spatial`), a flag of the command line, or a
            file; empty if it is none of these.
        what: What is wrong with it, with its value.
        allowed: What is allowed, or needed.
        remedy: What to do.
    """

    option: str
    what: str
    allowed: str = ''
    remedy: str = ''

    def __str__(self) -> str:
        what = f'{self.option}: {self.what}' if self.option else self.what
        return '\n  '.join(line for line in (what, self.allowed, self.remedy) if line)


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


def fail(error: MultigridError) -> NoReturn:
    """End the process with exit code 2 and the error on standard error, without a traceback."""
    print(f'\n{error}', file=sys.stderr, flush=True)
    raise SystemExit(EXIT_CODE) from None


def ending_cleanly(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Wrap a function that the host calls, which does not know `MultigridError`: this error ends the process."""

    @functools.wraps(function)
    def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        try:
            return function(*args, **kwargs)
        except MultigridError as error:
            fail(error)

    return call

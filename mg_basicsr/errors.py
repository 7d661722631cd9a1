"""Exceptions of the package, for errors that a user or a damaged file causes.

An error is a list of problems, each printed in up to three lines: what is wrong (with the dotted option path or the
file, and the value), what is allowed, and the remedy. Programs built on this package can catch `MultigridError`; the
command line prints it without a traceback and ends with exit code 2, and so do functions that the host calls (`fail`,
`ending_cleanly`).
"""

from __future__ import annotations

import functools
import sys
import unicodedata
from collections.abc import Callable
from typing import NamedTuple, NoReturn, ParamSpec, TypeVar

EXIT_CODE = 2
MOST_CHARACTERS = 1000  # of a line of a message: more is an accident, or meant to hide something
MOST_PROBLEMS = 50

Parameters = ParamSpec('Parameters')
Result = TypeVar('Result')


class Problem(NamedTuple):
    """Problem of an input. It is printed as `option: what`, then `allowed` and `remedy`, each on a separate line.

    Attributes:
        option: Subject of the problem: a dotted option path (`multigrid.spatial`), a flag of the command line, or a
            file; empty for other subjects.
        what: Description of the problem, with the value.
        allowed: Values that are allowed, or needed.
        remedy: Action that solves the problem.
    """

    option: str
    what: str
    allowed: str = ''
    remedy: str = ''

    def __str__(self) -> str:
        what = f'{self.option}: {self.what}' if self.option else self.what
        return '\n  '.join(printable(line) for line in (what, self.allowed, self.remedy) if line)


class MultigridError(Exception):
    """Base of all errors that an input causes.

    Args:
        problems: One or more problems.
    """

    def __init__(self, *problems: Problem) -> None:
        super().__init__(*problems)  # args = problems: such an error can be pickled, so that workers can send it

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Problems of the error."""
        return self.args

    def __str__(self) -> str:
        rest = len(self.problems) - MOST_PROBLEMS
        more = [f'and {rest} more problems'] if rest > 0 else []
        return '\n'.join([*(str(problem) for problem in self.problems[:MOST_PROBLEMS]), *more])


def printable(text: str) -> str:
    r"""Return a text that can be printed on any terminal: control characters escaped, and long lines cut.

    Values and names in a message come from files. Escape sequences could clear the screen, and marks of direction
    (U+202E) reverse what follows them. Line breaks stay, as do spaces of all kinds.

    >>> printable('a\x1b[2Jb')
    'a\\x1b[2Jb'
    """
    return '\n'.join(_cut(''.join(map(_escaped, line))) for line in text.split('\n'))


def _escaped(character: str) -> str:
    shown = character.isprintable() or unicodedata.category(character) == 'Zs'
    return character if shown else character.encode('unicode_escape', 'surrogatepass').decode('ascii')


def _cut(line: str) -> str:
    if len(line) <= MOST_CHARACTERS:
        return line
    first, last = MOST_CHARACTERS * 3 // 4, MOST_CHARACTERS // 5
    return f'{line[:first]} ... ({len(line) - first - last} characters) ... {line[-last:]}'


class ConfigError(MultigridError):
    """Error of an options file, its `multigrid:` block, or a command line that cannot be used."""


class DataError(MultigridError):
    """Error of a frame, clip list, database or store that is missing, damaged, or does not fit the options."""


class TrainingError(MultigridError):
    """Error of a model, network or machine that cannot run the plan."""


def fail(error: MultigridError) -> NoReturn:
    """Print an error to standard error, without a traceback, and end the process.

    Raises:
        SystemExit: always, with exit code 2.
    """
    print(f'\n{error}', file=sys.stderr, flush=True)
    raise SystemExit(EXIT_CODE) from None


def ending_cleanly(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Return a function that ends the process at a `MultigridError`, for functions that the host calls.

    The host does not know this exception, and would end with a traceback or continue.
    """

    @functools.wraps(function)
    def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        try:
            return function(*args, **kwargs)
        except MultigridError as error:
            fail(error)

    return call

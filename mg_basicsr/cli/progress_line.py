"""Progress of a command that takes minutes, on standard error: one line that is rewritten on a terminal, else lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import Console


class Show(Protocol):
    """Receiver of the part that a command begins with."""

    def __call__(self, doing: str) -> None:
        """Show it, instead of the part before."""


@contextmanager
def progress_line(name: str) -> Iterator[Show]:
    """Return a context that shows what a command is doing, and for how many seconds.

    Standard error is looked up once: it may be replaced while the command calls code that prints.

    Args:
        name: Name of the command, at the beginning of each line.
    """
    from rich.console import Console

    console = Console(file=sys.stderr, highlight=False, markup=False, emoji=False)
    if console.is_terminal and not console.is_dumb_terminal:
        with _rewritten(name, console) as show:
            yield show
        return
    start, stream = time.perf_counter(), sys.stderr

    def write(doing: str) -> None:
        print(f'{name}: {doing} ({time.perf_counter() - start:.0f} s)', file=stream, flush=True)

    yield write


@contextmanager
def _rewritten(name: str, console: Console) -> Iterator[Show]:
    """Return a context with one line at the bottom of a terminal, with the seconds of its part, removed at the end."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.table import Column

    one_line = Column(no_wrap=True, overflow='ellipsis')
    text = TextColumn('{task.description}', markup=False, table_column=one_line)
    columns = SpinnerColumn(), text, TimeElapsedColumn()
    # print() goes to where it would go without the line
    with Progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False) as progress:
        task = progress.add_task(name, total=None)

        def show(doing: str) -> None:
            progress.reset(task, description=f'{name}: {doing}')

        yield show

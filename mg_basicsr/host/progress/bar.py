"""Progress bar of a training on a terminal; the log's lines appear above it."""

from __future__ import annotations

import sys
from contextlib import ExitStack

from mg_basicsr.host.log import logger

FORMAT = '{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt}{postfix}'


class Bar:
    """Progress bar where the output is no terminal: none."""

    def show(self, iteration: int, stage: str, state: str) -> None:
        """Show the state of a run.

        Args:
            iteration: Iterations trained.
            stage: Stage and shape, as text.
            state: Rate and time left, as text.
        """

    def close(self) -> None:
        """Leave the bar in its last state."""


class TerminalBar(Bar):
    """Progress bar on a terminal, by tqdm, as BasicSR's own bars in validations, which appear below it.

    Args:
        done: Iterations trained before.
        total: Iterations of the run.
    """

    def __init__(self, done: int, total: int) -> None:
        from tqdm import tqdm
        from tqdm.contrib.logging import logging_redirect_tqdm

        self._stack = ExitStack()
        self._stack.enter_context(logging_redirect_tqdm([logger()]))
        self._bar = tqdm(
            initial=done, total=total, dynamic_ncols=True, bar_format=FORMAT, file=sys.stderr, mininterval=0
        )

    def show(self, iteration: int, stage: str, state: str) -> None:
        """Show the state of a run.

        Args:
            iteration: Iterations trained.
            stage: Stage and shape, as text.
            state: Rate and time left, as text.
        """
        self._bar.n = iteration
        self._bar.set_description_str(stage, refresh=False)
        self._bar.set_postfix_str(state, refresh=False)
        self._bar.refresh()

    def close(self) -> None:
        """Leave the bar in its last state, and let the log write to the terminal again."""
        self._bar.close()
        self._stack.close()


def progress_bar(done: int, total: int) -> Bar:
    """Return a progress bar on a terminal, and one that shows nothing elsewhere.

    Args:
        done: Iterations trained before.
        total: Iterations of the run.
    """
    return TerminalBar(done, total) if sys.stderr.isatty() else Bar()

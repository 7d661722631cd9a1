"""Signals that ask a training process to end: handlers only take a note, which is looked at between two steps."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class InterruptedValidationError(BaseException):
    """Leaves a validation, past the host's `except Exception`."""


class StopSignals:
    """Note the first SIGTERM or SIGINT that a training process gets. A second SIGINT does what it did before us.

    Attributes:
        received: The signal, or None.
        at_once: Whether the code that runs may be left at any point.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self.at_once = False
        self.watching = False
        self._before: dict[signal.Signals, Any] = {}
        self._process = os.getpid()

    def watch(self) -> None:
        """Install the handlers, which only a main thread may do."""
        self.watching, self._process = True, os.getpid()
        if threading.current_thread() is not threading.main_thread():
            return
        for number in SIGNALS:
            before = signal.getsignal(number)
            if before not in (signal.SIG_IGN, None):  # None: not Python's, so that it could not be put back
                self._before[number] = before
                signal.signal(number, self._note)

    def put_back(self) -> None:
        """Restore the handlers that were there before."""
        for number, before in self._before.items():
            if signal.getsignal(number) == self._note:
                signal.signal(number, before)
        self._before.clear()
        self.watching = False

    def _note(self, number: int, frame: Any) -> None:
        if number == signal.SIGINT:
            signal.signal(number, self._before[signal.SIGINT])
        self.received = self.received or signal.Signals(number)
        if self.at_once and os.getpid() == self._process:  # a forked process has inherited the handler
            raise InterruptedValidationError

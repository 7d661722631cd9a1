"""Signals that ask a training process to end: handlers only record them; the run checks between two steps."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class InterruptedValidationError(BaseException):
    """Exception that leaves a validation; a BaseException, so that the host's `except Exception` does not catch it."""


class StopSignals:
    """Record of the first SIGTERM or SIGINT that a training process gets. A second SIGINT has its former effect.

    Attributes:
        received: The signal, or None.
        at_once: Whether a signal may interrupt the running code at any point.
        watching: Whether `watch` has been called.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self.at_once = False
        self.watching = False
        self._before: dict[signal.Signals, Any] = {}
        self._process = os.getpid()

    def watch(self) -> None:
        """Install the handlers. In another thread than the main one, which may not, do nothing."""
        self.watching, self._process = True, os.getpid()
        if threading.current_thread() is not threading.main_thread():
            return
        for number in SIGNALS:
            before = signal.getsignal(number)
            if before not in (signal.SIG_IGN, None):  # None: not Python's, so that it could not be put back
                self._before[number] = before
                signal.signal(number, self._note)

    def put_back(self) -> None:
        """Restore the former handlers."""
        for number, before in self._before.items():
            if signal.getsignal(number) == self._note:  # not over a handler that was installed since
                signal.signal(number, before)
        self._before.clear()
        self.watching = False

    def _note(self, number: int, frame: Any) -> None:
        if number == signal.SIGINT:  # a second Ctrl-C ends the process even if the step hangs
            signal.signal(number, self._before[signal.SIGINT])
        self.received = self.received or signal.Signals(number)
        if self.at_once and os.getpid() == self._process:  # a forked process has inherited the handler
            raise InterruptedValidationError

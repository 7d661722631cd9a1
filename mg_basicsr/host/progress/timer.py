"""Stopwatch of a train loop: seconds of each iteration, without validation, saving and trial steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Lapse:
    """Pause of a stopwatch.

    Attributes:
        seconds: Its duration once it has ended; None for a pause within another, whose time that one has.
    """

    seconds: float | None = None


class IterationTimer:
    """Stopwatch of a train loop.

    Args:
        trained: Seconds of training before, of the run that is resumed.
        clock: Returns the time in seconds.
    """

    def __init__(self, trained: float = 0.0, clock: Callable[[], float] = time.perf_counter) -> None:
        self.trained = trained
        self._clock = clock
        self._start: float | None = None
        self._paused = 0.0
        self._in_pause = False

    def begin(self) -> float | None:
        """End the iteration under way, begin the next, and return the seconds of the one that ended, if any."""
        seconds = self.end()
        self._start = self._clock()
        return seconds

    def end(self) -> float | None:
        """End the iteration under way and return its seconds; None without one."""
        if self._start is None:
            return None
        seconds = self._clock() - self._start - self._paused
        self.trained += seconds
        self._start, self._paused = None, 0.0
        return seconds

    @property
    def elapsed(self) -> float:
        """Seconds of training, those of the iteration under way included."""
        return self.trained + (0.0 if self._start is None else self._clock() - self._start - self._paused)

    @contextmanager
    def pause(self) -> Iterator[Lapse]:
        """Stop the watch for the body of the context."""
        lapse = Lapse()
        if self._in_pause:
            yield lapse
            return
        self._in_pause = True
        start = self._clock()
        try:
            yield lapse
        finally:
            self._in_pause = False
            lapse.seconds = self._clock() - start
            self._paused += lapse.seconds if self._start is not None else 0.0

"""The stopwatch of a train loop."""

from __future__ import annotations

from mg_basicsr.host.progress.timer import IterationTimer


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_iterations_without_their_pauses() -> None:
    clock = Clock()
    timer = IterationTimer(100.0, clock)
    with timer.pause() as before:  # of no iteration
        clock.now += 7
    assert timer.begin() is None and before.seconds == 7
    clock.now += 1
    with timer.pause() as outer:
        clock.now += 10
        with timer.pause() as inner:
            clock.now += 5
    assert (outer.seconds, inner.seconds) == (15, None)
    clock.now += 2
    assert timer.elapsed == 103
    assert timer.begin() == 3
    clock.now += 1
    assert timer.end() == 1 and timer.end() is None
    clock.now += 50
    assert timer.elapsed == timer.trained == 104


def test_a_pause_that_fails_counts_too() -> None:
    clock = Clock()
    timer = IterationTimer(0.0, clock)
    timer.begin()
    try:
        with timer.pause():
            clock.now += 4
            raise KeyError
    except KeyError:
        clock.now += 1
    assert timer.begin() == 1

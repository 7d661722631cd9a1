"""What the progress bar says, on a clock made by hand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from mg_basicsr.host.progress import monitor as module
from mg_basicsr.host.progress.bar import Bar
from mg_basicsr.host.progress.monitor import Monitor
from mg_basicsr.host.progress.timer import IterationTimer
from tests.helpers.stock_options import resolved, stock


class Shown(Bar):
    """Bar that keeps what it was given."""

    def __init__(self) -> None:
        self.states: list[str] = []

    def show(self, iteration: int, stage: str, state: str) -> None:
        self.states.append(state)


@pytest.fixture
def bar(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shown]:
    shown = Shown()
    monkeypatch.setattr(module, 'BAR_SECONDS', 0)
    monkeypatch.setattr(module, 'header', lambda *_: {})
    monkeypatch.setattr(module, 'header_lines', lambda *_: [])
    monkeypatch.setattr(module, 'plan_record', lambda *_: {})
    monkeypatch.setattr(module, 'progress_bar', lambda *_: shown)
    monkeypatch.setattr(module, 'batch_hash', lambda _: None)
    yield shown


def test_the_rate_is_that_of_iterations_that_have_ended(bar: Shown) -> None:
    """16 clips in 2 s each, whether or not a log line has just been written."""
    settings = resolved(stock(block={'preset': 'lin2022'}))
    run: Any = SimpleNamespace(
        plan=settings.plan, settings=settings, specification=SimpleNamespace(grid=None),
        file=SimpleNamespace(options={}), model=SimpleNamespace(device='cpu'), extensions=(),
    )  # fmt: skip
    now = [0.0]
    monitor = Monitor(run, {})
    monitor._timer = IterationTimer(clock=lambda: now[0])
    for iteration in range(6):
        run.step = settings.plan(iteration)
        monitor.begin(run.step)
        now[0] += 2.0
        if iteration % 2:
            with monitor.log_line(SimpleNamespace(), {'iter': iteration + 1}):
                pass
        now[0] += 0.001  # the loop's own work between two iterations
    assert len(bar.states) == 6
    assert 'clips/s' not in bar.states[0]
    rates = [float(re.findall(r'([\d.]+) clips/s', state)[0]) for state in bar.states[1:]]
    assert rates == pytest.approx([8.0] * 5, abs=0.05)

"""Where an iteration begins, for train loops that call update_learning_rate before the step, after it, or never."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from mg_basicsr import patching
from mg_basicsr.errors import TrainingError
from mg_basicsr.host import iteration
from mg_basicsr.host.data.delivery import DeliveredBatches
from mg_basicsr.host.progress.watch import Watch
from mg_basicsr.host.run import Clock
from mg_basicsr.training.extension import Extension, extend
from tests.helpers.small_model import SmallModel, plan

TOTAL = plan().total_iter


class Seen(Extension):
    """Notes the iterations that begin, and those whose step is made."""

    def __init__(self) -> None:
        self.log: list[tuple[str, int]] = []

    def before_step(self, step: Any) -> None:
        self.log.append(('begin', step.iteration + 1))


class StandIn:
    """What of a run these functions use."""

    plan, settings, rank, watch = plan(), SimpleNamespace(seed=0), 0, Watch()

    def __init__(self) -> None:
        self.clock, self.loader = Clock(), SimpleNamespace(delivered=None, batch=None)

    has_loader = True

    @property
    def iteration(self) -> int:
        return self.clock.iteration


class Loop:
    """A train loop's view of a run: takes mini-batches, and calls the model in some order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen, self.checks = Seen(), list[int]()
        run: Any = StandIn()
        run.extensions = [self.seen]
        self.run, self.model = run, SmallModel()
        monkeypatch.setattr(iteration, 'announce_plan', lambda run, current: None)
        monkeypatch.setattr(iteration, 'stage_line', lambda run, stage: '')
        monkeypatch.setattr(iteration.stopping, 'between_steps', lambda run, model: self.checks.append(run.iteration))

        def made(number: int) -> None:
            self.seen.log.append(('step', run.iteration))

        self.model.optimize_parameters = made  # type: ignore[method-assign]
        extend(self.model, [DeliveredBatches(run)])

    def fetch(self, number: int) -> None:
        self.run.loader.delivered, self.run.loader.batch = number - 1, {'lq': torch.zeros(1), 'gt': torch.zeros(1)}

    def update(self, number: int) -> None:
        iteration.rates_updated(self.run, self.model, number)

    def feed(self, batch: Any = None) -> None:
        self.model.feed_data(batch or dict(self.run.loader.batch))

    def validate(self) -> None:
        self.feed({'lq': torch.zeros(1), 'gt': torch.zeros(1)})

    def step(self, number: int) -> None:
        self.model.optimize_parameters(number)


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loop]:
    before = len(patching.in_force())
    yield Loop(monkeypatch)
    patching.undo(before)


def usual(loop: Loop, n: int) -> None:
    loop.fetch(n)
    loop.update(n)
    loop.feed()
    loop.step(n)


def after_the_step(loop: Loop, n: int) -> None:
    loop.fetch(n)
    loop.feed()
    loop.step(n)
    loop.update(n)


def after_the_next_batch(loop: Loop, n: int) -> None:
    if n == 1:
        loop.fetch(1)
    loop.feed()
    loop.step(n)
    loop.fetch(n + 1)
    loop.validate()
    assert loop.run.clock == Clock(n, n)
    loop.update(n)


def never(loop: Loop, n: int) -> None:
    loop.fetch(n)
    loop.feed()
    loop.step(n)


def without_feed(loop: Loop, n: int) -> None:
    loop.fetch(n)
    loop.step(n)


@pytest.mark.parametrize('order', [usual, after_the_step, after_the_next_batch, never, without_feed])
def test_each_iteration_begins_once_before_its_step(loop: Loop, order: Callable[[Loop, int], None]) -> None:
    for n in range(1, TOTAL + 1):
        order(loop, n)
        assert loop.run.clock == Clock(n, n)
    assert loop.seen.log == [(what, n) for n in range(1, TOTAL + 1) for what in ('begin', 'step')]
    # signals are looked at where the weights are those of the clock's iteration, after each step too
    assert sorted(set(loop.checks)) == [
        *range(TOTAL),
        *([TOTAL] if order in (after_the_step, after_the_next_batch) else []),
    ]


def test_rates_that_are_set_ahead_for_a_checkpoint_change_nothing(loop: Loop) -> None:
    """Some loops call update_learning_rate twice for an iteration; no signal may end the run in between."""
    usual(loop, 1)
    loop.update(2)
    assert loop.run.clock == Clock(2, 1)
    usual(loop, 2)
    assert loop.checks == [0, 1] and loop.run.clock == Clock(2, 2)


COUNTS_OTHERWISE: dict[str, Callable[[Loop], Any]] = {
    r'update_learning_rate\(0\) with the mini-batch of iteration 1': lambda loop: (loop.fetch(1), loop.update(0)),
    r'update_learning_rate\(1\) with no mini-batch': lambda loop: loop.update(1),
    r'update_learning_rate\(4\) with the mini-batch of iteration 2': lambda loop: (
        usual(loop, 1), loop.fetch(2), loop.update(4),
    ),
    'optimize_parameters with the number 0 with the mini-batch of iteration 1': lambda loop: (
        loop.fetch(1), loop.feed(), loop.step(0),
    ),
    'makes the step of iteration 1 with the mini-batch of iteration 3': lambda loop: (
        usual(loop, 1), loop.fetch(3), loop.step(2),
    ),
}  # fmt: skip


@pytest.mark.parametrize('told', COUNTS_OTHERWISE)
def test_a_loop_that_counts_otherwise_is_refused(loop: Loop, told: str) -> None:
    with pytest.raises(TrainingError, match=told):
        COUNTS_OTHERWISE[told](loop)


def test_a_validation_before_there_is_a_loader_begins_nothing(loop: Loop) -> None:
    loop.run.has_loader = False
    loop.validate()
    assert loop.run.clock == Clock()

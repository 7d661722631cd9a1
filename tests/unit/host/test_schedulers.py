"""Schedulers that the host has built, against the rates that plans take from the file: BasicSR's own, and others."""

from __future__ import annotations

import logging
import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from mg_basicsr.errors import TrainingError
from mg_basicsr.host.schedulers import check_schedulers
from tests.helpers.host_schedulers import basicsr_schedulers
from tests.helpers.stock_options import resolved, stock

LR, TOTAL = 2e-4, 120
COSINE = {'type': 'CosineAnnealingRestartLR', 'periods': [50, 70], 'restart_weights': [1, 0.5], 'eta_min': 1e-6}
STEPS = {'type': 'MultiStepLR', 'milestones': [30, 90, 90], 'gamma': 0.5}
RESTARTS = {'type': 'MultiStepRestartLR', 'milestones': [10, 70], 'restarts': [0, 60], 'restart_weights': [1, 0.7]}
HOST = {'preset': 'lin2022', 'lr_schedule': 'host'}
RESTART = {'preset': 'lin2022'}
WU2020 = {'preset': 'wu2020'}
WRITTEN = {'preset': 'stages', 'stages': [{'iters': TOTAL, 'lr': [1e-4, 1e-7, 'cosine']}]}


def cosine() -> Any:
    return basicsr_schedulers().CosineAnnealingRestartLR


def steps() -> Any:
    return basicsr_schedulers().MultiStepRestartLR


def check(block: dict[str, Any], scheduler: dict[str, Any], cls: Any, groups: int = 2, **built: Any) -> Any:
    """Build a scheduler of a class for two optimizers, as BasicSR does, and compare it with the block's plan."""
    changes = {'train.total_iter': TOTAL, 'train.fix_flow': 0, 'train.scheduler': scheduler, 'train.optim_g.lr': LR}
    settings = resolved(stock(block=block, changes=changes))
    options = {key: value for key, value in scheduler.items() if key != 'type'} | built
    model = SimpleNamespace(optimizers=[], schedulers=[])
    for factor in (1.0, 0.5):
        parameters = [{'params': [torch.nn.Parameter(torch.zeros(1))], 'lr': factor * LR / 8**n} for n in range(groups)]
        optimizer = torch.optim.Adam(parameters)
        model.optimizers.append(optimizer)
        model.schedulers.append(cls(optimizer, **options))
    before = [(vars(each).copy(), [group['lr'] for group in each.optimizer.param_groups]) for each in model.schedulers]
    try:
        check_schedulers(SimpleNamespace(settings=settings), model)  # type: ignore[arg-type]
    finally:  # the real ones are never stepped
        after = [(vars(each), [group['lr'] for group in each.optimizer.param_groups]) for each in model.schedulers]
        assert after == before
    return model


@pytest.mark.parametrize('block', [HOST, RESTART, WU2020, WRITTEN, {'preset': 'stages', 'stages': [{'iters': TOTAL}]}])
@pytest.mark.parametrize(('scheduler', 'cls'), [(COSINE, cosine), (STEPS, steps), (RESTARTS, steps)])
def test_basicsrs_own(block: dict[str, Any], scheduler: dict[str, Any], cls: Any) -> None:
    check(block, scheduler, cls())


@pytest.mark.parametrize('periods', [[TOTAL // 2], [10 * TOTAL], [40, 30]])
@pytest.mark.parametrize('block', [HOST, RESTART])
def test_periods_that_end_elsewhere_than_the_run(block: dict[str, Any], periods: list[int]) -> None:
    """BasicSR raises after the last period; the plan stays at the lowest rate."""
    check(block, {**COSINE, 'periods': periods, 'restart_weights': [1] * len(periods)}, cosine())


# Classes of a repository's own under BasicSR's names
def every_second() -> Any:
    class CosineAnnealingRestartLR(cosine()):  # type: ignore[misc]
        """Is stepped twice per iteration elsewhere, and so counts half steps."""

        def get_lr(self) -> list[float]:
            now, self.last_epoch = self.last_epoch, self.last_epoch // 2
            rates: list[float] = super().get_lr()
            self.last_epoch = now
            return rates

    return CosineAnnealingRestartLR


def warming_up() -> Any:
    class CosineAnnealingRestartLR(cosine()):  # type: ignore[misc]
        def get_lr(self) -> list[float]:
            return [rate * min(1, (self.last_epoch + 1) / 20) for rate in super().get_lr()]

    return CosineAnnealingRestartLR


def relative_minimum() -> Any:
    class CosineAnnealingRestartLR(cosine()):  # type: ignore[misc]
        """Takes eta_min as a share of each group's rate."""

        def get_lr(self) -> list[float]:
            share, self.eta_min = self.eta_min, 0
            falling = super().get_lr()
            self.eta_min = share
            return [share * start + (1 - share) * rate for start, rate in zip(self.base_lrs, falling, strict=True)]

    return CosineAnnealingRestartLR


def counting_itself() -> Any:
    class MultiStepRestartLR(steps()):  # type: ignore[misc]
        """Equal to BasicSR's, but for a last step at the 100th call."""

        calls = 0

        def get_lr(self) -> list[float]:
            self.calls += 1
            return [rate * (0.1 if self.calls == 101 else 1) for rate in super().get_lr()]

    return MultiStepRestartLR


def second_group_only() -> Any:
    class MultiStepRestartLR(steps()):  # type: ignore[misc]
        def get_lr(self) -> list[float]:
            first, *others = super().get_lr()
            return [first, *(rate * (0.5 if self.last_epoch == 40 else 1) for rate in others)]

    return MultiStepRestartLR


def with_an_argument() -> Any:
    class CosineAnnealingRestartLR(cosine()):  # type: ignore[misc]
        def step(self, loss: float) -> None:
            raise AssertionError

        def _initial_step(self) -> None: ...

    return CosineAnnealingRestartLR


@pytest.mark.parametrize(
    ('block', 'scheduler', 'cls', 'told'),
    [
        (HOST, COSINE, every_second, 'at iteration 2 its rate is 0.0002, by the options 0.000199804'),
        (HOST, COSINE, warming_up, 'at iteration 1 its rate is 1e-05, by the options 0.0002'),
        (
            RESTART,
            {**COSINE, 'eta_min': 0.01},
            relative_minimum,
            'at iteration 51 its rate is 2e-06, by the options 0.01',
        ),
        (RESTART, COSINE, every_second, 'at iteration 51 its rate is 0.0001005, by the options 1e-06'),
        (HOST, STEPS, counting_itself, 'at iteration 101 its rate is 2.5e-06, by the options 2.5e-05'),
        (WU2020, STEPS, counting_itself, 'at iteration 101 its rate is 2.5e-06, by the options 2.5e-05'),
        (HOST, STEPS, second_group_only, 'at iteration 41 its rate of group 2 of optimizer 1 is 6.25e-06'),
        (HOST, COSINE, with_an_argument, 'it cannot be compared (TypeError: '),
    ],
)
def test_a_class_of_the_repositorys_own(block: dict[str, Any], scheduler: dict[str, Any], cls: Any, told: str) -> None:
    with pytest.raises(TrainingError) as refused:
        check(block, scheduler, cls())
    what, allowed, remedy = str(refused.value).splitlines()
    assert what.startswith('train.scheduler: the plan takes its ') and cls.__module__ in what and told in what
    assert 'needed: ' in allowed and 'into the block' in remedy


@pytest.mark.parametrize('built', [{'periods': [60, 60]}, {'restart_weights': [1, 1]}, {'eta_min': 0}])
def test_basicsrs_class_made_from_other_values(built: dict[str, Any]) -> None:
    """A model may override setup_schedulers."""
    with pytest.raises(TrainingError, match='is not what the options say: at iteration '):
        check(HOST, COSINE, cosine(), **built)


@pytest.mark.parametrize(
    ('block', 'scheduler', 'cls'),
    [
        (RESTART, COSINE, warming_up),  # the lowest rate is where it was
        (RESTART, STEPS, counting_itself),
        (WU2020, COSINE, every_second),  # has no steps: the paper's are taken
        ({**WU2020, 'lr_steps': [60]}, STEPS, counting_itself),
        (WRITTEN, COSINE, every_second),
    ],
)
def test_what_the_plan_does_not_depend_on(block: dict[str, Any], scheduler: dict[str, Any], cls: Any) -> None:
    check(block, scheduler, cls())


class TrueCosine(torch.optim.lr_scheduler.LambdaLR):
    """A type of other repositories' own."""

    def __init__(self, optimizer: torch.optim.Optimizer, T_max: int, eta_min: float) -> None:
        share = eta_min / LR
        super().__init__(optimizer, lambda k: share + (1 - share) * (1 + math.cos(math.pi * k / T_max)) / 2)


@pytest.mark.parametrize(('length', 'warned'), [(TOTAL, False), (2 * TOTAL, True)])
def test_a_type_that_basicsr_does_not_have(length: int, warned: bool, caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger('basicsr')
    logger.addHandler(caplog.handler)
    try:
        check(RESTART, {'type': 'TrueCosine', 'T_max': length, 'eta_min': 1e-6}, TrueCosine)
    finally:
        logger.removeHandler(caplog.handler)
    told = 'eta_min: 1e-06 is taken as the lowest rate' in caplog.text and 'is at 0.0001005 after 120' in caplog.text
    assert told is warned


def test_no_scheduler_at_all() -> None:
    """A model may make none: its rates are constant."""
    settings = resolved(stock(block=HOST, changes={'train.total_iter': TOTAL, 'train.fix_flow': 0}))
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=settings.baseline.lr)
    model: Any = SimpleNamespace(optimizers=[optimizer], schedulers=[])
    run: Any = SimpleNamespace(settings=settings)
    with pytest.raises(TrainingError, match='no scheduler is not what the options say: at iteration '):
        check_schedulers(run, model)

"""`lr_schedule: host`: the file's own schedule, read at i * m, with the scaled rate on top."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.host_schedulers import stepped
from tests.helpers.stock_options import resolved, stock

LR, TOTAL = 2e-4, 1200
COSINE = {'type': 'CosineAnnealingRestartLR', 'periods': [500, 700], 'restart_weights': [1, 0.5], 'eta_min': 1e-6}
STEPS = {'type': 'MultiStepLR', 'milestones': [300, 900, 900], 'gamma': 0.5}
RESTARTS = {'type': 'MultiStepRestartLR', 'milestones': [100, 700], 'restarts': [0, 600], 'restart_weights': [1, 0.7]}


@pytest.mark.parametrize('scheduler', [COSINE, STEPS, RESTARTS])
@pytest.mark.parametrize(
    ('base_batch_size', 'batch_size', 'rule', 'lr_scale'),
    [
        (16, 16, 'linear', 1.0),
        (16, 64, 'linear', 4.0),
        (16, 64, 'sqrt', 2.0),
        (16, 24, 'none', 1.0),
        (16, 8, 'linear', 0.5),
    ],
)
def test_the_files_own_schedule(
    scheduler: dict[str, Any], base_batch_size: int, batch_size: int, rule: str, lr_scale: float
) -> None:
    block = {
        'preset': 'lin2022',
        'base_batch_size': base_batch_size,
        'batch_size': batch_size,
        'lr_scaling': rule,
        'lr_schedule': 'host',
        'warmup_iter': 0,
    }
    changes = {'train.total_iter': TOTAL, 'train.fix_flow': 0, 'train.scheduler': scheduler}
    plan = resolved(stock(block=block, changes=changes), world_size=4).plan
    options = {key: value for key, value in scheduler.items() if key != 'type'}
    name = scheduler['type'].replace('MultiStepLR', 'MultiStepRestartLR')  # BasicSR takes one for the other
    expected = stepped(name, lr_scale * LR, TOTAL, **options)
    multiple = batch_size / base_batch_size
    assert plan.total_iter == TOTAL / multiple
    rates = [plan(i).rate(LR) for i in range(plan.total_iter)]
    assert rates == pytest.approx([expected[int(i * multiple)] for i in range(plan.total_iter)], rel=1e-9)


def test_warmup_comes_on_top() -> None:
    block = {'preset': 'lin2022', 'lr_schedule': 'host', 'warmup_iter': 100}
    changes = {'train.total_iter': TOTAL, 'train.fix_flow': 0, 'train.scheduler': STEPS}
    plan = resolved(stock(block=block, changes=changes)).plan
    assert [plan(i).lr_factor for i in (0, 49, 99, 299, 300)] == pytest.approx([0.01, 0.5, 1, 1, 0.5])

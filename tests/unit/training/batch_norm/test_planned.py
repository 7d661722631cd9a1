"""Which networks of a model get sub-batch norm, and how it follows the plan."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from mg_basicsr.schedule.lr import Constant
from mg_basicsr.schedule.plan import Plan, StageSpec, build_plan
from mg_basicsr.schedule.shape import BatchShape
from mg_basicsr.training.batch_norm.planned import PlannedNorm
from mg_basicsr.training.extension import extend, stateful


def model(*, norm: bool = True) -> Any:
    """A generator with its moving average, a discriminator, and the network of a loss."""
    layers: list[nn.Module] = [nn.Conv2d(3, 3, 1), *([nn.BatchNorm2d(3)] if norm else [])]
    found = SimpleNamespace(net_g=nn.Conv2d(3, 3, 1), net_d=nn.Sequential(*layers), cri_pix=nn.BatchNorm2d(3))
    found.net_g_ema = copy.deepcopy(found.net_g)
    found.net_d_ema = copy.deepcopy(found.net_d)
    found.optimize_parameters = lambda: None
    found.optimizers = [torch.optim.SGD(net.parameters(), lr=0.1) for net in (found.net_g, found.net_d)]
    return found


def plan() -> Plan:
    """Stages of 8, 4 and 2 clips, 5 iterations each."""
    specs = [StageSpec(5, (BatchShape(clips, 1, 8),), 1.0, 0.0, Constant()) for clips in (8, 4, 2)]
    return build_plan(specs, world_size=1, budget=10**9, warmup_iter=0, base_lr=1.0)


def test_the_iteration_decides() -> None:
    """In any order, as often as one likes."""
    norm, trained, log = PlannedNorm(plan(), 2), model(), list[str]()
    extend(trained, [norm], log.append)
    assert len(log) == 1 and 'of net_d over' in log[0] and 'clips of one by stage: 2, 2, 2' in log[0]
    (layer,) = norm.norm.layers.values()
    assert layer.layer is trained.net_d[1] and list(stateful([norm])) == ['sub_batch_norm']
    for iteration, parts in [(0, 4), (4, 4), (4, 4), (5, 2), (14, 1), (7, 2), (0, 4)]:
        norm.before_step(plan()(iteration))
        assert layer.parts == parts


def test_nothing_happens_without_batch_norm() -> None:
    norm, trained, log = PlannedNorm(plan(), 2), model(norm=False), list[str]()
    before = {name: dict(vars(module)) for name, module in trained.net_d.named_modules()}
    extend(trained, [norm], log.append)
    norm.before_step(plan()(0))
    assert not stateful([norm]) and log == []
    assert all(vars(module) == before[name] for name, module in trained.net_d.named_modules())

"""Which networks of a model get sub-batch norm, and how it follows the plan."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from mg_basicsr.host.norm import add_sub_batch_norm, divide_batch_norm, trained_networks
from mg_basicsr.schedule.lr import Constant
from mg_basicsr.schedule.plan import StageSpec, build_plan
from mg_basicsr.schedule.shape import BatchShape


def model(*, norm: bool = True) -> Any:
    """A generator with its moving average, a discriminator, and the network of a loss."""
    layers: list[nn.Module] = [nn.Conv2d(3, 3, 1), *([nn.BatchNorm2d(3)] if norm else [])]
    found = SimpleNamespace(net_g=nn.Conv2d(3, 3, 1), net_d=nn.Sequential(*layers), cri_pix=nn.BatchNorm2d(3))
    found.net_g_ema = copy.deepcopy(found.net_g)
    found.net_d_ema = copy.deepcopy(found.net_d)
    found.optimizers = [torch.optim.SGD(net.parameters(), lr=0.1) for net in (found.net_g, found.net_d)]
    return found


def run(size: int) -> Any:
    """Stages of 8, 4 and 2 clips, 5 iterations each."""
    specs = [StageSpec(5, (BatchShape(clips, 1, 8),), 1.0, 0.0, Constant()) for clips in (8, 4, 2)]
    plan = build_plan(specs, world_size=1, budget=10**9, warmup_iter=0, base_lr=1.0)
    return SimpleNamespace(settings=SimpleNamespace(sub_batch_norm=size), plan=plan, parts={})


def test_networks_that_are_trained() -> None:
    assert list(trained_networks(model())) == ['net_g', 'net_d']


def test_the_iteration_decides(caplog: Any) -> None:
    """In any order, as often as one likes."""
    one, trained = run(2), model()
    with caplog.at_level('INFO', 'basicsr'):
        add_sub_batch_norm(one, trained)
    assert len(caplog.messages) == 1 and 'clips of one by stage: 2, 2, 2' in caplog.messages[0]
    (layer,) = one.parts['sub_batch_norm'].layers.values()
    assert layer.layer is trained.net_d[1]
    for iteration, parts in [(0, 4), (4, 4), (4, 4), (5, 2), (14, 1), (7, 2), (0, 4)]:
        divide_batch_norm(one, one.plan.stage_at(iteration))
        assert layer.parts == parts


def test_nothing_happens_without_batch_norm_or_when_it_is_off(caplog: Any) -> None:
    for one, trained in ((run(0), model()), (run(2), model(norm=False))):
        before = {name: dict(vars(module)) for name, module in trained.net_d.named_modules()}
        with caplog.at_level('INFO', 'basicsr'):
            add_sub_batch_norm(one, trained)
        divide_batch_norm(one, one.plan.stages[0])
        assert one.parts == {} and caplog.messages == []
        assert all(vars(module) == before[name] for name, module in trained.net_d.named_modules())

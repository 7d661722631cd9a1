"""A model with the members of BasicSR's that extensions use: a network with batch norm, its moving average, Adam."""

from __future__ import annotations

import copy
import io
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from mg_basicsr.schedule.lr import Constant
from mg_basicsr.schedule.plan import Plan, StageSpec, build_plan
from mg_basicsr.schedule.shape import BatchShape
from mg_basicsr.training.extension import Extension, extend, stateful

SIZE = 8
RATE = 1e-2


class Batch(dict[str, Any]):
    """A mini-batch that comes in several parts."""

    def __init__(self, parts: int, iteration: int, **values: Any) -> None:
        super().__init__(values)
        self.parts, self.iteration = parts, iteration


class SmallModel:
    """Trains as BasicSR's SRModel does."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.opt: dict[str, Any] = {}
        self.device = torch.device('cpu')
        self.schedulers: list[Any] = []
        self.net_g = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Conv2d(4, 3, 3, padding=1))
        self.net_g_ema = copy.deepcopy(self.net_g).eval()
        self.cri_pix = nn.L1Loss()
        self.optimizers: list[torch.optim.Optimizer] = [torch.optim.Adam(self.net_g.parameters(), RATE)]
        self.log_dict: dict[str, Any] = {}

    def feed_data(self, data: Any) -> None:
        self.lq, self.gt = data['lq'], data['gt']

    def optimize_parameters(self, current_iter: int) -> None:
        self.optimizers[0].zero_grad()
        loss = self.cri_pix(self.net_g(self.lq), self.gt)
        loss.backward()
        self.optimizers[0].step()
        self.log_dict = {'l_pix': loss.item()}
        self.model_ema(0.5)

    def model_ema(self, decay: float) -> None:
        for mine, other in zip(self.net_g_ema.parameters(), self.net_g.parameters(), strict=True):
            mine.data.mul_(decay).add_(other.data, alpha=1 - decay)

    def save(self, epoch: int, current_iter: int) -> None: ...


def plan() -> Plan:
    """Stages of 8, 4 and 2 clips, 2 iterations each, at a constant rate; at most 4 clips in a pass."""
    specs = [StageSpec(2, (BatchShape(clips, 1, SIZE),), RATE, 0.0, Constant()) for clips in (8, 4, 2)]
    return build_plan(specs, world_size=1, budget=4 * SIZE**2, warmup_iter=0, base_lr=RATE)


def train(model: Any, extensions: Sequence[Extension], first: int, stop: int, passes: bool = False) -> None:
    """Makes the steps of iterations first .. stop - 1, 0-based, each on its own mini-batch."""
    for iteration in range(first, stop):
        step = plan()(iteration)
        generator = torch.Generator().manual_seed(iteration)
        lq, gt = (torch.rand(step.shape.clips, 3, SIZE, SIZE, generator=generator) for _ in range(2))
        for extension in extensions:
            extension.before_step(step)
        model.feed_data(Batch(step.accumulate if passes else 1, iteration, lq=lq, gt=gt))
        model.optimize_parameters(iteration + 1)


def extended(*extensions: Extension) -> Any:
    """A new model with these extensions."""
    model = SmallModel()
    for extension in extensions:
        extension.arrange(model.net_g)
    extend(model, extensions)
    return model


def saved(model: Any, extensions: Sequence[Extension]) -> bytes:
    """A checkpoint: networks, optimisers, and the extensions' own states, as a file."""
    file = io.BytesIO()
    parts = {name: extension.state_dict() for name, extension in stateful(extensions).items()}
    networks = {name: getattr(model, name).state_dict() for name in ('net_g', 'net_g_ema')}
    torch.save({**networks, 'optimizers': [o.state_dict() for o in model.optimizers], 'parts': parts}, file)
    return file.getvalue()


def load(checkpoint: bytes, model: Any, extensions: Sequence[Extension]) -> None:
    """Puts a checkpoint into a new model, in the order of a resumed run."""
    state = torch.load(io.BytesIO(checkpoint), weights_only=True)
    for optimizer, values in zip(model.optimizers, state['optimizers'], strict=True):
        optimizer.load_state_dict(values)
    for name in ('net_g', 'net_g_ema'):
        getattr(model, name).load_state_dict(state[name])
    for name, extension in stateful(extensions).items():
        extension.load_state_dict(state['parts'][name])
    for extension in extensions:
        extension.resumed(model)


def everything(model: Any, extensions: Sequence[Extension]) -> dict[str, Any]:
    """What a step may change, as it is now: comparable with torch.equal and ==, entry by entry."""
    state = torch.load(io.BytesIO(saved(model, extensions)), weights_only=True)
    gradients = [None if p.grad is None else p.grad.clone() for p in model.net_g.parameters()]
    return {**state, 'gradients': gradients, 'log': dict(model.log_dict), 'generator': torch.get_rng_state()}

"""Layers, a loss and a model with a state beside their parameters. Nothing of pytest is in this module's variables."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from tests.helpers.small_model import SmallModel


class Noise(nn.Module):
    """Draws from generators of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.generator, self.others = torch.Generator(), [np.random.default_rng(), random.Random()]
        self.generator.seed()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        drawn = self.others[0].random() + self.others[1].random()  # type: ignore[union-attr]
        return x * (1 + 0.1 * torch.rand((), generator=self.generator) + 0.1 * float(drawn))


class Annealed(nn.Module):
    """Counts its passes."""

    def __init__(self) -> None:
        super().__init__()
        self.passes = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.passes += 1
        return x / self.passes


class Bank(nn.Module):
    """Keeps averages outside of its state_dict, and one that is there after the first pass only."""

    def __init__(self) -> None:
        super().__init__()
        self.recent, self.sums = deque([0.0], maxlen=2), {'all': torch.zeros(())}
        self.register_buffer('mean', torch.zeros(3, 1, 1), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x.detach().mean()
        self.recent.append(float(mean))
        self.sums['all'] = self.sums['all'] + mean
        self.mean += x.detach().mean((0, 2, 3)).reshape(3, 1, 1)
        self.late = getattr(self, 'late', 0.0) + float(mean)
        return x * (1 + sum(self.recent) + self.sums['all'] + self.late) + self.mean


class Loss(nn.Module):
    """A loss with a buffer, which BasicSR saves nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer('scale', torch.ones(()))

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        loss = (x - y).abs().mean()
        self.scale *= 0.9
        self.scale += 0.1 * loss.detach()
        return loss * self.scale


class Stepping(SmallModel):
    """Counts its steps, in a number and in a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.steps, self.levels = 0, {'l_pix': 1.0}

    def optimize_parameters(self, current_iter: int) -> None:
        self.steps += 1
        self.levels['l_pix'] *= 0.5
        self.gt = self.gt * (self.steps + self.levels['l_pix'])
        super().optimize_parameters(current_iter)


class Late(nn.Module):
    """Makes its generator in the first pass."""

    generator = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.generator is None:
            self.generator = torch.Generator()
        return x * torch.rand((), generator=self.generator)


def with_layer(layer: Callable[[], nn.Module]) -> Callable[[], SmallModel]:
    def make() -> SmallModel:
        model = SmallModel()
        model.net_g.append(layer())
        model.net_g_ema.append(nn.Identity())
        return model

    return make

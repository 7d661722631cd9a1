"""A skipped step leaves no statistic of any kind changed, and says what it could not put back."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from mg_basicsr.training.batch_norm.sub_batches import SubBatchNorm
from mg_basicsr.training.extension import extend
from mg_basicsr.training.precision.gradient_guard import GradientGuard
from mg_basicsr.training.state import not_a_number
from mg_basicsr.training.statistics import Statistics
from tests.helpers.small_model import SmallModel, extended, saved


class Means(nn.Module):
    """Statistics as a plain attribute, a number, and a tensor that each pass replaces."""

    def __init__(self) -> None:
        super().__init__()
        self.mean, self.passes, self.level = torch.zeros(3), 0, 0.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x.detach().mean((0, 2, 3))
        self.mean = 0.9 * self.mean + 0.1 * mean
        self.level = 0.9 * self.level + 0.1 * float(mean.sum())
        self.passes += 1
        return x


class InContainers(nn.Module):
    """Statistics in lists, dictionaries and arrays."""

    def __init__(self) -> None:
        super().__init__()
        self.means, self.recent = [torch.zeros(())], deque([0.0], maxlen=2)
        self.by_name = {'level': 0.0, 'sums': [torch.zeros(1)]}
        self.array = np.zeros(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x.detach().mean()
        self.means[0] = self.means[0] + mean
        self.recent.append(float(mean))
        self.by_name['level'] = float(mean)
        self.by_name['sums'][0] += mean
        self.array += float(mean)
        return x


class Hidden(nn.Module):
    """Statistics in the closure of a function, where nobody looks."""

    def __init__(self) -> None:
        super().__init__()
        mean = torch.zeros(())
        self.update = lambda x: mean.add_(x.detach().mean())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.update(x)
        return x


LAYERS: dict[str, Callable[[], nn.Module]] = {
    'batch norm': lambda: nn.BatchNorm2d(3),
    'instance norm': lambda: nn.InstanceNorm2d(3, track_running_stats=True),
    'spectral norm': lambda: nn.utils.spectral_norm(nn.Conv2d(3, 3, 1)),
    'spectral norm as a parametrisation': lambda: nn.utils.parametrizations.spectral_norm(nn.Conv2d(3, 3, 1)),
    'plain attributes': Means,
    'containers': InContainers,
}


def step(model: SmallModel, value: float) -> None:
    model.feed_data({'lq': torch.full((4, 3, 8, 8), value), 'gt': torch.zeros(4, 3, 8, 8)})
    model.optimize_parameters(1)


def kept_by(layer: nn.Module) -> str:
    names = ('mean', 'level', 'passes', 'means', 'recent', 'by_name', 'array')
    own = [getattr(layer, name, None) for name in names]
    return repr([layer.state_dict(), own])


def with_layer(layer: nn.Module, report: Callable[[str], None] = lambda line: None) -> SmallModel:
    class Model(SmallModel):
        def __init__(self) -> None:
            super().__init__()
            self.net_g = nn.Sequential(nn.Conv2d(3, 3, 1), layer)
            self.net_g_ema = nn.Sequential(nn.Conv2d(3, 3, 1))
            self.optimizers = [torch.optim.Adam(self.net_g.parameters(), 1e-3)]

        def model_ema(self, decay: float) -> None: ...

    model = Model()
    extend(model, [GradientGuard('bfloat16', report)])
    return model


@pytest.mark.parametrize('kind', LAYERS)
def test_statistics_of_a_skipped_step_are_forgotten(kind: str) -> None:
    layer = LAYERS[kind]()
    lines: list[str] = []
    model = with_layer(layer, lines.append)
    step(model, 1.0)
    before = kept_by(layer)
    for value in (float('nan'), float('inf')):
        step(model, value)
        assert kept_by(layer) == before
    assert len(lines) == 2 and not any('NaN' in line for line in lines)
    step(model, 2.0)
    assert not_a_number(layer) == 0


def test_sub_batches_forget_a_skipped_step() -> None:
    guard = GradientGuard('bfloat16')
    model = extended(guard)
    norm = SubBatchNorm({'net_g': model.net_g})  # attached after the guard, as in a run
    norm.divide(2)
    step(model, 1.0)
    (layer,) = norm.layers.values()
    assert layer.running is not None
    before, checkpoint = layer.running.clone(), saved(model, [])
    step(model, float('nan'))
    assert torch.equal(layer.running, before) and saved(model, []) == checkpoint
    step(model, 1.0)
    assert layer.running.isfinite().all() and not torch.equal(layer.running, before)


def test_what_was_not_put_back_is_said() -> None:
    lines: list[str] = []
    model = with_layer(Hidden(), lines.append)
    step(model, 1.0)
    step(model, float('nan'))
    assert '1 tensors that the networks keep hold a NaN' in lines[0]


def test_tables_of_integers_are_not_copied() -> None:
    network = nn.Linear(1, 1)
    network.register_buffer('table', torch.arange(100))
    network.register_buffer('mean', torch.zeros(3))
    kept = [holder for holder, _ in Statistics([network]).kept() if torch.is_tensor(holder)]
    assert len(kept) == 1 and kept[0] is network.mean


def test_averages_of_the_model_forget_a_skipped_step() -> None:
    class Averaging(SmallModel):
        level, means = 0.0, {}

        def optimize_parameters(self, current_iter: int) -> None:
            super().optimize_parameters(current_iter)
            self.level = 0.9 * self.level + 0.1 * self.log_dict['l_pix']
            self.means = {**self.means, 'l_pix': self.level}

    model = Averaging()
    model.means = {'l_pix': 0.0}
    extend(model, [GradientGuard('bfloat16')])  # type: ignore[arg-type]
    step(model, 1.0)
    before = model.level, model.means
    step(model, float('nan'))
    assert (model.level, model.means) == before and before[0] > 0

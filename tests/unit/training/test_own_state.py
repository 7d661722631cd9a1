"""Generators and counters of networks, losses and the model: a resumed run continues them."""

from __future__ import annotations

import io
import random
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from mg_basicsr.training.extension import extend
from mg_basicsr.training.own_state import OwnState
from tests.helpers.checkpoints import first_difference
from tests.helpers.small_model import SmallModel, everything, load, saved, train

LAST, TOTAL = 3, 6


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


def with_layer(layer: Callable[[], nn.Module]) -> Callable[[], SmallModel]:
    def make() -> SmallModel:
        model = SmallModel()
        model.net_g.append(layer())
        model.net_g_ema.append(nn.Identity())
        return model

    return make


def with_loss() -> SmallModel:
    model = SmallModel()
    model.cri_pix = Loss()  # type: ignore[assignment]
    return model


KINDS: dict[str, Callable[[], SmallModel]] = {
    'generators': with_layer(Noise),
    'counter': with_layer(Annealed),
    'averages': with_layer(Bank),
    'buffer of a loss': with_loss,
    'model': Stepping,
}


def extended(make: Callable[[], SmallModel]) -> tuple[Any, list[OwnState]]:
    model: Any = make()
    extensions = [OwnState(lambda iteration: 100 + iteration)]
    extend(model, extensions)
    return model, extensions


@pytest.mark.parametrize('kind', KINDS)
def test_a_resumed_run_goes_on_to_the_bit(kind: str) -> None:
    whole, extensions = extended(KINDS[kind])
    train(whole, extensions, 0, LAST)
    checkpoint = saved(whole, extensions)
    train(whole, extensions, LAST, TOTAL)
    resumed, others = extended(KINDS[kind])
    load(checkpoint, resumed, others)
    train(resumed, others, LAST, TOTAL)
    assert first_difference(everything(resumed, others), everything(whole, extensions)) is None


def test_a_model_without_such_state_has_none_in_its_checkpoints() -> None:
    model, (own,) = extended(SmallModel)
    train(model, [own], 0, TOTAL)
    assert own.state_dict() == {}


def test_only_what_has_changed_is_saved() -> None:
    model, (own,) = extended(with_layer(Bank))
    model.net_g[-1].fixed = [1, 2, 3]
    model, (own,) = extended(lambda: model)
    train(model, [own], 0, 1)
    assert set(own.state_dict()) == {f'net_g.3.{name}' for name in ('recent', 'sums', 'late')} | {
        'net_g.3.(buffers).mean'
    }


def test_it_is_made_of_what_is_loaded_without_running_code() -> None:
    model, (own,) = extended(with_layer(Bank))
    train(model, [own], 0, 1)
    file = io.BytesIO()
    torch.save(own.state_dict(), file)
    file.seek(0)
    assert torch.load(file, weights_only=True).keys() == own.state_dict().keys()


def test_places_that_are_gone_and_shapes_that_changed_are_left_out() -> None:
    model, (own,) = extended(with_layer(Bank))
    state = {'net_x.passes': 3, 'net_g.9.passes': 3, 'net_g.3.(buffers).mean': torch.ones(2), 'net_g.3.late': 0.5}
    own.load_state_dict(state)
    assert model.net_g[-1].late == 0.5 and model.net_g[-1].mean.shape == (3, 1, 1)


def test_a_generator_that_a_step_makes_is_reported() -> None:
    class Late(nn.Module):
        generator = None

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if self.generator is None:
                self.generator = torch.Generator()
            return x * torch.rand((), generator=self.generator)

    lines: list[str] = []
    model = with_layer(Late)()
    own = OwnState(lambda iteration: iteration, lines.append)
    extend(model, [own])  # type: ignore[arg-type]
    train(model, [own], 0, TOTAL)
    assert len(lines) == 1 and 'made within a step' in lines[0]

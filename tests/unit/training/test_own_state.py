"""Generators and counters of networks, losses and the model: a resumed run continues them."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
import torch

from mg_basicsr.training.extension import extend
from mg_basicsr.training.own_state import OwnState
from tests.helpers.checkpoints import first_difference
from tests.helpers.keeping_layers import Annealed, Bank, Late, Loss, Noise, Stepping, with_layer
from tests.helpers.small_model import SmallModel, everything, load, saved, train

LAST, TOTAL = 3, 6


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
    lines: list[str] = []
    model = with_layer(Late)()
    own = OwnState(lambda iteration: iteration, lines.append)
    extend(model, [own])  # type: ignore[arg-type]
    train(model, [own], 0, TOTAL)
    assert len(lines) == 1 and 'made within a step' in lines[0]

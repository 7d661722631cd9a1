"""Steps in several passes, for train loops and models that hand mini-batches on in other ways than BasicSR's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from mg_basicsr.training.extension import Extension, extend
from mg_basicsr.training.micro_batches import MicroBatches
from tests.helpers.checkpoints import first_difference
from tests.helpers.small_model import SIZE, Batch, SmallModel, everything, plan

Train = Callable[[Any, Batch, int], None]


class Plain(SmallModel):
    """Without batch norm, which sees each pass."""

    def __init__(self) -> None:
        super().__init__()
        self.net_g[1] = self.net_g_ema[1] = torch.nn.Identity()
        self.passes: list[int] = []

    def feed_data(self, data: Any, is_val: bool = True) -> None:
        assert not is_val
        super().feed_data(data)

    def feed_train_data(self, data: Any) -> None:
        assert set(data) == {'lq', 'gt'}
        super().feed_data(data)

    def optimize_parameters(self, current_iter: int) -> None:
        self.passes.append(len(self.lq))
        super().optimize_parameters(current_iter)


class Handed(Plain):
    """Takes the mini-batch in its step."""

    def optimize_parameters(self, train_data: Any, logger: Any = None) -> None:  # type: ignore[override]
        self.feed_train_data(train_data)
        super().optimize_parameters(0)


def further_arguments(model: Any, batch: Batch, number: int) -> None:
    model.feed_data(batch, is_val=False)
    model.optimize_parameters(number)


def another_mapping(model: Any, batch: Batch, number: int) -> None:
    model.feed_train_data({'lq': batch['lq'], 'gt': batch['gt']})
    model.optimize_parameters(number)


def handed(model: Any, batch: Batch, number: int) -> None:
    model.optimize_parameters(batch)


def fed_and_handed(model: Any, batch: Batch, number: int) -> None:
    model.feed_data(batch, is_val=False)
    model.optimize_parameters(train_data=batch)


WAYS: dict[Train, type[Plain]] = {
    further_arguments: Plain, another_mapping: Plain, handed: Handed, fed_and_handed: Handed,
}  # fmt: skip


@pytest.mark.parametrize('train', WAYS)
def test_each_pass_takes_its_part(train: Train) -> None:
    in_passes, whole = WAYS[train](), WAYS[train]()
    for model in (in_passes, whole):
        model.net_g.double()
        model.net_g_ema.double()
    extensions: list[Extension] = [MicroBatches()]
    extend(in_passes, extensions)
    for iteration in range(3):
        step = plan()(iteration)
        generator = torch.Generator().manual_seed(iteration)
        lq, gt = (torch.rand(8, 3, SIZE, SIZE, generator=generator, dtype=torch.float64) for _ in range(2))
        parts = step.accumulate
        extensions[0].before_step(step)
        train(in_passes, Batch(parts, iteration, lq=lq, gt=gt), iteration + 1)
        train(whole, Batch(1, iteration, lq=lq, gt=gt), iteration + 1)
        # a validation in between is fed whole
        if train is further_arguments:
            in_passes.feed_data({'lq': lq[:3], 'gt': gt[:3]}, is_val=False)
            assert len(in_passes.lq) == 3
    assert in_passes.passes == [4, 4, 4, 4, 8] and whole.passes == [8, 8, 8]
    ours, theirs = everything(in_passes, [])['net_g'], everything(whole, [])['net_g']
    for key, value in ours.items():
        torch.testing.assert_close(value, theirs[key], rtol=1e-9, atol=1e-12)
    assert first_difference(ours, WAYS[train]().net_g.double().state_dict()) is not None

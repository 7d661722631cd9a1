"""What follows from a measurement of steps in several passes, and from a loss's word where there is none."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from mg_basicsr.errors import TrainingError
from mg_basicsr.host.trial.passes import judge
from mg_basicsr.training.extension import extend
from mg_basicsr.training.micro_batches import MicroBatches
from mg_basicsr.training.trial.loss_reduction import unlike_reduction
from mg_basicsr.training.trial.passes import Measured
from tests.helpers.small_model import SmallModel, everything

UNKNOWN = Measured(unknown='no float64')


class L1Loss(nn.Module):
    """A loss of a repository's own under BasicSR's name.

    Args:
        reduction: What it says.
        does: What it does.
    """

    def __init__(self, reduction: str, does: str) -> None:
        super().__init__()
        self.reduction, self.does = reduction, does

    def forward(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        error = (output - target).abs()
        return {'mean': error.mean, 'sum': error.sum, 'largest': error.max, 'norm': error.norm}[self.does]()


class Perceptual(nn.Module):
    """Two losses, one of which may be off, as BasicSR's."""

    def __init__(self) -> None:
        super().__init__()
        self.criterion = nn.L1Loss()

    def forward(self, output: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, None]:
        return self.criterion(output, target), None


class GANLoss(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.loss = nn.BCEWithLogitsLoss()

    def forward(self, answer: torch.Tensor, target_is_real: bool) -> torch.Tensor:
        value = 1.0 if target_is_real else 0.0
        loss: torch.Tensor = self.loss(answer, torch.full_like(answer, value))
        return loss


def judged(loss: nn.Module, found: Measured = UNKNOWN) -> MicroBatches:
    model: Any = SmallModel()
    model.cri_pix = loss
    micro = MicroBatches()
    extend(model, [micro])
    before = everything(model, [])
    judge(SimpleNamespace(model=model, parts={}), micro, found)  # type: ignore[arg-type]
    assert repr(everything(model, [])) == repr(before)
    return micro


@pytest.mark.parametrize('loss', [L1Loss('mean', 'mean'), L1Loss('sum', 'sum'), Perceptual(), GANLoss()])
def test_without_a_measurement_a_loss_that_does_what_it_says_is_believed(
    loss: nn.Module, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, 'basicsr'):
        micro = judged(loss)
    assert micro.mean is (getattr(loss, 'reduction', 'mean') == 'mean')


@pytest.mark.parametrize(
    ('says', 'does'), [('mean', 'sum'), ('sum', 'mean'), ('mean', 'largest'), ('mean', 'norm'), ('sum', 'norm')]
)
def test_without_a_measurement_a_loss_that_does_something_else_is_refused(says: str, does: str) -> None:
    with pytest.raises(TrainingError) as refused:
        judged(L1Loss(says, does))
    assert f'no float64), and cri_pix (L1Loss) says {says}, but is ' in str(refused.value)
    assert ' for 4 images, and ' in str(refused.value) and len(str(refused.value).splitlines()) == 3


def test_a_loss_of_another_signature_is_not_believed() -> None:
    class L1Loss(nn.Module):
        reduction = 'mean'

        def forward(self, output: torch.Tensor, target: torch.Tensor, flow: torch.Tensor) -> None: ...

    assert (
        unlike_reduction({'cri_pix': L1Loss()}, 'mean', 'cpu') == 'cri_pix (L1Loss) could not be evaluated for images'
    )


def test_a_measurement_goes_before_what_a_loss_says() -> None:
    assert not judged(L1Loss('mean', 'sum'), Measured(mean=False, tolerance=1e-6)).mean


def test_a_step_that_changes_its_gradients_is_refused() -> None:
    with pytest.raises(TrainingError, match='changes gradients between the backward pass and the optimiser'):
        judged(L1Loss('mean', 'mean'), Measured(changed=True))

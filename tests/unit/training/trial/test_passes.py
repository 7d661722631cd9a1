"""Steps in several passes are measured: what is exact passes, with the right share; what is not is found."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import clip_grad_norm_ as limit

from mg_basicsr.training.extension import extend
from mg_basicsr.training.micro_batches import MicroBatches
from mg_basicsr.training.precision.reduced import ReducedPrecision
from mg_basicsr.training.trial.passes import Measured, measure_passes
from mg_basicsr.training.trial.snapshot import on_trial
from tests.helpers.small_model import SIZE, Batch, SmallModel, everything


class Adversarial(SmallModel):
    """Two optimisers: a generator with a pixel loss, and a discriminator.

    Args:
        pixel: 'mean' or 'sum'.
        adversary: Loss of the discriminator's answers.
        every: The generator steps in every so many iterations.
    """

    leaves_gradients = False

    def __init__(self, pixel: str, adversary: Callable[[torch.Tensor], torch.Tensor], every: int = 1) -> None:
        super().__init__()
        self.net_d = nn.Conv2d(3, 1, 3)
        self.optimizers.append(torch.optim.Adam(self.net_d.parameters(), 1e-2))
        self.pixel, self.adversary, self.every = pixel, adversary, every

    def optimize_parameters(self, current_iter: int) -> None:
        fake = self.net_g(self.lq)
        if current_iter % self.every == 0:
            self.net_d.requires_grad_(self.leaves_gradients)
            self.optimizers[0].zero_grad()
            (F.l1_loss(fake, self.gt, reduction=self.pixel) + self.adversary(self.net_d(fake))).backward()
            self.optimizers[0].step()
            self.net_d.requires_grad_(True)
        self.optimizers[1].zero_grad()
        (self.adversary(-self.net_d(self.gt)) + self.adversary(self.net_d(fake.detach()))).backward()
        self.optimizers[1].step()
        self.log_dict = {}


def with_loss(loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> SmallModel:
    model = SmallModel()
    model.cri_pix = loss  # type: ignore[assignment]
    return model


def with_network(*layers: nn.Module) -> SmallModel:
    model = SmallModel()
    model.net_g = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), *layers)
    model.optimizers = [torch.optim.Adam(model.net_g.parameters(), 1e-2)]
    return model


class LeavesGradients(Adversarial):
    """The generator's loss leaves gradients in the discriminator, which clears them in the first pass alone."""

    leaves_gradients = True


class RandomHinge(Adversarial):
    """A generator that draws random numbers, beside a loss that does not say how it reduces."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.net_g = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), DropPath())
        self.optimizers[0] = torch.optim.Adam(self.net_g.parameters(), 1e-2)


class FirstTheOther(Adversarial):
    """The generator's loss uses the discriminator as it is after its step."""

    def optimize_parameters(self, current_iter: int) -> None:
        fake = self.net_g(self.lq)
        self.optimizers[1].zero_grad()
        (self.net_d(fake.detach()).square().mean() - self.net_d(self.gt).mean()).backward()
        self.optimizers[1].step()
        self.optimizers[0].zero_grad()
        self.net_d(fake).square().mean().backward()
        self.optimizers[0].step()
        self.log_dict = {}


class Noise(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.rand_like(x)


class Scale(nn.Module):
    """One random number for all clips of a pass."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * random.random()


class PerClip(nn.Module):
    """A random number of Python's for each clip."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.tensor([random.random() for _ in x]).reshape(-1, 1, 1, 1)


class Mixed(nn.Module):
    """Clips of a batch mixed at random."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * x[torch.randperm(len(x))]


class DropPath(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.rand(len(x), 1, 1, 1, dtype=x.dtype).add(0.7).floor() + F.dropout(x, 0.3) + torch.randn_like(x)


class WarmsUp(SmallModel):
    """Another loss in the first iterations."""

    def optimize_parameters(self, current_iter: int) -> None:
        self.cri_pix = nn.L1Loss(reduction='sum') if current_iter < 5 else nn.L1Loss()
        super().optimize_parameters(current_iter)


class ClearsByNetwork(SmallModel):
    def optimize_parameters(self, current_iter: int) -> None:
        self.net_g.zero_grad()
        super().optimize_parameters(current_iter)


class Float32Inside(nn.Module):
    """Does not take float64 on the way."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.conv2d(x, torch.ones(3, 3, 1, 1, dtype=torch.float32))


class OverBatch(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * x.abs().mean()


class Regularised(SmallModel):
    """Adds a loss over the batch at every sixteenth iteration, as a discriminator's gradient penalty is added."""

    def optimize_parameters(self, current_iter: int) -> None:
        self.optimizers[0].zero_grad()
        output = self.net_g(self.lq)
        loss = self.cri_pix(output, self.gt)
        if self.is_due(current_iter):
            loss = loss + torch.norm(output)
        loss.backward()
        self.optimizers[0].step()
        self.log_dict = {}

    def is_due(self, current_iter: int) -> bool:
        return current_iter % 16 == 0


class ChangesGradients(SmallModel):
    """Does something to its gradients by a function of another name.

    Args:
        change: What is done to the parameters.
    """

    def __init__(self, change: Callable[[list[nn.Parameter]], Any]) -> None:
        super().__init__()
        self.change = change

    def optimize_parameters(self, current_iter: int) -> None:
        self.optimizers[0].zero_grad()
        self.cri_pix(self.net_g(self.lq), self.gt).backward()
        self.change(list(self.net_g.parameters()))
        self.optimizers[0].step()
        self.log_dict = {}


class RaindropRemoval(OverBatch):
    """Is not random, though its name has "drop" in it."""


class OwnDropPath(nn.Module):
    """A random layer of a repository's own."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.rand(len(x), 1, 1, 1, dtype=x.dtype) if self.training else x


class SpectralNormFree(OverBatch):
    """Has no state, though its name is that of a layer with one."""


def hinge(answer: torch.Tensor) -> torch.Tensor:
    return F.relu(1 + answer).mean()


def wasserstein(answer: torch.Tensor) -> torch.Tensor:
    return answer.mean()


def relativistic(answer: torch.Tensor) -> torch.Tensor:
    return F.softplus(answer - answer.mean()).mean()


def frobenius(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    return torch.norm(one - other)


def measure(model: Any, *more: Any) -> Measured:
    micro = MicroBatches()
    extend(model, [micro, *more])
    clips = [
        dict(zip(('lq', 'gt'), torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(n)), strict=True))
        for n in range(4)
    ]
    return measure_passes(
        model,
        micro,
        clips,
        lambda batch, parts: Batch(parts, 0, **batch),
        lambda iteration: functools.partial(micro.step, iteration),
        30,
    )


EXACT = {
    'mean': (SmallModel, True),
    'sum': (lambda: with_loss(nn.L1Loss(reduction='sum')), False),
    'a mean that cannot be read': (lambda: with_loss(lambda one, other: (one - other).abs().mean()), True),
    'a sum that cannot be read': (lambda: with_loss(lambda one, other: (one - other).abs().sum()), False),
    'hinge beside a mean': (lambda: Adversarial('mean', hinge), True),
    'Wasserstein beside a mean': (lambda: Adversarial('mean', wasserstein), True),
    'generator now and then': (lambda: Adversarial('mean', hinge, every=7), True),
    'batch norm, dropout': (lambda: with_network(nn.BatchNorm2d(3), nn.Dropout(0.5)), True),
    'spectral norm': (lambda: with_network(nn.utils.spectral_norm(nn.Conv2d(3, 3, 3, padding=1))), True),
    'drawn per clip': (lambda: with_network(DropPath()), True),
    'drawn per clip, hinge': (lambda: RandomHinge('mean', hinge), True),
    'noise': (lambda: with_network(Noise()), True),
    'one number for a pass': (lambda: with_network(Scale()), True),
    'float32 inside': (lambda: with_network(Float32Inside()), True),
    'a random layer of its own': (lambda: with_network(OwnDropPath()), True),
}


@pytest.mark.parametrize('kind', EXACT)
def test_exact_steps_pass_with_the_share_of_each_pass(kind: str) -> None:
    make, mean = EXACT[kind]
    found = measure(make())
    assert not found.unknown and not found.changed
    assert found.mean is mean and found.difference <= found.tolerance
    assert found.tolerance < (1e-2 if kind == 'float32 inside' else 1e-5)


INEXACT = {
    'sum beside a hinge loss': (lambda: Adversarial('sum', hinge), 1e-4),
    'sum beside a Wasserstein loss': (lambda: Adversarial('sum', wasserstein), 1e-4),
    'relativistic': (lambda: Adversarial('mean', relativistic), 1e-4),
    'norm of the whole batch': (lambda: with_loss(frobenius), 1e-2),
    'network over the batch': (lambda: with_network(OverBatch()), 1e-4),
    'generator now and then': (lambda: Adversarial('sum', hinge, every=7), 1e-4),
    'a regulariser now and then': (Regularised, 1e-2),
    'a layer called as if it were random': (lambda: with_network(RaindropRemoval()), 1e-4),
    'a layer called as if it kept statistics': (lambda: with_network(SpectralNormFree()), 1e-4),
    'gradients left in another network': (lambda: LeavesGradients('mean', hinge), 1e-2),
    'another loss at first': (WarmsUp, 1e-2),
    'gradients cleared by the network': (ClearsByNetwork, 1e-2),
    'loss on what another optimiser has changed': (lambda: FirstTheOther('mean', hinge), 1e-5),
}


@pytest.mark.parametrize('kind', INEXACT)
def test_steps_that_differ_are_found(kind: str) -> None:
    make, least = INEXACT[kind]
    found = measure(make())
    assert not found.unknown and not found.changed
    assert found.difference > max(found.tolerance, least)


def halved(parameters: list[nn.Parameter]) -> None:
    for parameter in parameters:
        assert parameter.grad is not None
        parameter.grad = parameter.grad / 2


CHANGES = {
    'clipped, far below the limit': lambda parameters: limit(parameters, 1e9),
    'clamped': lambda parameters: [parameter.grad.clamp_(-1e9, 1e9) for parameter in parameters],
    'replaced': halved,
}


@pytest.mark.parametrize('kind', CHANGES)
def test_gradients_that_the_step_changes_are_seen_whatever_does_it(kind: str) -> None:
    """Where it changes no value here, it may later."""
    assert measure(ChangesGradients(CHANGES[kind])).changed
    assert not measure(ChangesGradients(lambda parameters: None)).changed


@pytest.mark.parametrize('layer', [PerClip, Mixed])
def test_random_numbers_are_no_result(layer: type[nn.Module]) -> None:
    assert 'other random numbers' in measure(with_network(layer())).unknown


def test_a_step_that_fails_is_no_result() -> None:
    def fails(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        raise RuntimeError('no such kernel')

    assert 'no such kernel' in measure(with_loss(fails)).unknown


def test_reduced_precision_is_set_aside() -> None:
    found = measure(SmallModel(), ReducedPrecision('bfloat16'))
    assert found.mean and found.difference <= found.tolerance < 1e-5


def test_no_trace() -> None:
    model, micro = SmallModel(), MicroBatches()
    extend(model, [micro, ReducedPrecision('bfloat16')])
    forwards = [vars(module).get('forward') for module in model.net_g.modules()]
    before, kinds = everything(model, []), {p.dtype for p in [*model.net_g.parameters(), *model.net_g.buffers()]}
    with on_trial(model):
        measure_passes(
            model,
            micro,
            [{'lq': torch.rand(3, SIZE, SIZE), 'gt': torch.rand(3, SIZE, SIZE)} for _ in range(2)],
            lambda batch, parts: Batch(parts, 0, **batch),
            lambda iteration: functools.partial(micro.step, iteration),
            30,
        )
    after = everything(model, [])
    assert repr(before) == repr(after)
    assert {p.dtype for p in [*model.net_g.parameters(), *model.net_g.buffers()]} == kinds
    assert all(module.training for module in model.net_g.modules()) and torch.get_default_dtype() is torch.float32
    assert [vars(module).get('forward') for module in model.net_g.modules()] == forwards and micro.mean

"""Scaled losses and skipped steps, around models that step in the ways of BasicSR's."""

from __future__ import annotations

import io
import math
import os
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from mg_basicsr.errors import TrainingError
from mg_basicsr.training.extension import Extension, extend
from mg_basicsr.training.gradient_handling import gradient_handling
from mg_basicsr.training.micro_batches import MicroBatches
from mg_basicsr.training.precision.gradient_guard import (
    FIRST_SCALE,
    GROWTH_INTERVAL,
    MOST_SKIPPED,
    GradientGuard,
    scaled_losses,
)


class Model:
    """A generator and a discriminator, trained as SRGANModel does; `spoil_g`, `spoil_d` multiply their losses."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.net_g = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 3, 3))
        self.net_d = nn.Conv2d(3, 1, 3)
        self.net_g_ema = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 3, 3))
        self.optimizer_g = torch.optim.Adam(self.net_g.parameters(), 1e-3)
        self.optimizer_d = torch.optim.Adam(self.net_d.parameters(), 1e-3)
        self.optimizers = [self.optimizer_g, self.optimizer_d]
        self.spoil_g = self.spoil_d = 1.0

    def feed_data(self, data: Any) -> None:
        self.lq = data['lq']

    def optimize_parameters(self, current_iter: int) -> None:
        self.net_d.requires_grad_(False)
        self.optimizer_g.zero_grad()
        output = self.net_g(self.lq)
        l_g = output.abs().mean() - self.net_d(output).mean() * self.spoil_g
        l_g.backward()
        self.optimizer_g.step()
        self.net_d.requires_grad_(True)
        self.optimizer_d.zero_grad()
        l_real = -self.net_d(self.lq).mean()
        l_real.backward()
        l_fake = self.net_d(output.detach()).mean() * self.spoil_d
        l_fake.backward()
        self.optimizer_d.step()
        self.log_dict = OrderedDict(l_g=l_g.item(), l_d=l_fake.item())
        self.model_ema(0.5)

    def model_ema(self, decay: float) -> None:
        for mine, other in zip(self.net_g_ema.parameters(), self.net_g.parameters(), strict=True):
            mine.data.mul_(decay).add_(other.data, alpha=1 - decay)

    def state(self) -> dict[str, list[torch.Tensor]]:
        """Everything that a step changes, copied; what belongs to the discriminator apart."""
        steps = {
            name: [value.clone() for entry in optimizer.state.values() for value in entry.values()]
            for name, optimizer in (('optimizer_g', self.optimizer_g), ('optimizer_d', self.optimizer_d))
        }
        weights = {
            name: [value.clone() for value in getattr(self, name).state_dict().values()]
            for name in ('net_g', 'net_d', 'net_g_ema')
        }
        return weights | steps


def equal(first: list[torch.Tensor], second: list[torch.Tensor]) -> bool:
    return len(first) == len(second) and all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def guarded(model: Model, precision: str = 'float16', inside: Sequence[Extension] = ()) -> GradientGuard:
    lines: list[str] = []
    guard = GradientGuard(precision, lines.append)
    extend(model, [*inside, guard])
    guard.lines = lines  # type: ignore[attr-defined]
    return guard


def train(model: Any, iterations: int = 1, parts: int = 1) -> None:
    generator = torch.Generator().manual_seed(1)
    for current_iter in range(1, iterations + 1):
        model.feed_data(Batch(parts, lq=torch.rand(4, 3, 8, 8, generator=generator)))
        model.optimize_parameters(current_iter)


class Batch(dict[str, Any]):
    def __init__(self, parts: int, **values: Any) -> None:
        super().__init__(values)
        self.parts = parts


@pytest.mark.parametrize('precision', ['float16', 'bfloat16'])
def test_scaling_changes_nothing_to_the_bit(precision: str) -> None:
    plain, model = Model(), Model()
    guard = guarded(model, precision)
    assert guard.scale == (FIRST_SCALE if precision == 'float16' else 1)
    train(plain, 3)
    train(model, 3)
    expected, found = plain.state(), model.state()
    assert all(equal(found[name], expected[name]) for name in expected)
    assert guard.good == 3 and guard.skipped == 0


@given(exponent=st.integers(-10, 40))
def test_every_loss_of_a_backward_pass_is_scaled(exponent: int) -> None:
    x = torch.tensor([1.5, -0.25], requires_grad=True)
    scale = 2.0**exponent
    with scaled_losses(scale):
        x.square().sum().backward()
        torch.autograd.backward([x.sum(), x[0] * 3], [None, torch.tensor(2.0)])
        (3 * x).backward(gradient=torch.ones(2))
    assert x.grad is not None
    assert x.grad.tolist() == [(2 * 1.5 + 1 + 6 + 3) * scale, (-2 * 0.25 + 1 + 3) * scale]
    x.grad = None
    x.sum().backward()
    assert x.grad is not None and x.grad.tolist() == [1, 1]


def test_what_torch_refuses_is_refused() -> None:
    with scaled_losses(2.0), pytest.raises(RuntimeError, match='scalar outputs'):
        (torch.ones(2, requires_grad=True) * 2).backward()


def test_a_backward_pass_within_one_is_scaled_once() -> None:
    x = torch.rand(3, requires_grad=True)
    with scaled_losses(4.0):
        y = torch.utils.checkpoint.checkpoint(lambda v: v * 3, x, use_reentrant=True)
        y.sum().backward()
    assert x.grad is not None and x.grad.tolist() == [12, 12, 12]


@pytest.mark.parametrize('value', [math.inf, math.nan])
@pytest.mark.parametrize('precision', ['float16', 'bfloat16'])
def test_a_step_that_is_not_finite_is_skipped_and_training_goes_on(precision: str, value: float) -> None:
    model = Model()
    guard = guarded(model, precision)
    train(model, 2)
    before = model.state()
    model.spoil_g = model.spoil_d = value
    train(model)
    assert all(equal(now, before[name]) for name, now in model.state().items())
    assert (guard.in_a_row, guard.skipped) == (1, 1)
    half = FIRST_SCALE / 2
    assert guard.scale == (half if precision == 'float16' else 1)
    told = '; loss scale now 32768' if precision == 'float16' else ''
    assert guard.lines == [f'gradient not finite, step skipped (1 in a row, 1 in all){told}']  # type: ignore[attr-defined]

    model.spoil_g = model.spoil_d = 1.0
    train(model)
    assert not any(equal(now, before[name]) for name, now in model.state().items())
    assert (guard.in_a_row, guard.skipped) == (0, 1)


def test_only_the_optimiser_with_such_gradients_is_left_out() -> None:
    model = Model()
    guarded(model)
    train(model)
    before = model.state()
    model.spoil_d = math.nan
    train(model)
    after = model.state()
    changed = {name for name in before if not equal(before[name], after[name])}
    assert changed == {'net_g', 'optimizer_g'}


def test_normalisation_forgets_a_skipped_pass() -> None:
    model = Model()
    guarded(model)
    train(model)
    before = model.state()['net_g']
    model.feed_data({'lq': torch.full((4, 3, 8, 8), math.inf)})
    model.optimize_parameters(2)
    assert equal(model.state()['net_g'], before)


def test_the_scale_grows() -> None:
    model = Model()
    guard = guarded(model)
    guard.good = GROWTH_INTERVAL - 2
    train(model)
    assert guard.scale == FIRST_SCALE
    train(model)
    assert (guard.scale, guard.good) == (2 * FIRST_SCALE, 0)
    train(model)
    assert guard.good == 1


def spoiled(model: Model, iterations: int) -> None:
    model.spoil_g = math.nan
    train(model, iterations)
    model.spoil_g = 1.0


def test_what_persists_ends_the_run() -> None:
    model = Model()
    guard = guarded(model)
    spoiled(model, MOST_SKIPPED - 1)
    train(model)
    spoiled(model, MOST_SKIPPED - 1)
    assert guard.skipped == 2 * (MOST_SKIPPED - 1)
    before = model.state()
    with pytest.raises(TrainingError, match=rf'multigrid\.precision: float16: .* {MOST_SKIPPED} iterations') as error:
        spoiled(model, 1)
    assert len(str(error.value).splitlines()) == 3
    after = model.state()
    assert equal(after['net_g'], before['net_g']) and equal(after['net_g_ema'], before['net_g_ema'])


def test_state_goes_through_a_checkpoint() -> None:
    model = Model()
    guard = guarded(model)
    train(model, 3)
    spoiled(model, MOST_SKIPPED - 5)
    file = io.BytesIO()
    torch.save(guard.state_dict(), file)
    file.seek(0)
    other = Model()
    resumed = guarded(other)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    assert resumed.state_dict() == guard.state_dict() == {
        'scale': 2.0, 'good': 0, 'in_a_row': MOST_SKIPPED - 5, 'skipped': MOST_SKIPPED - 5,
    }  # fmt: skip
    spoiled(other, 4)
    with pytest.raises(TrainingError):
        spoiled(other, 1)


def test_a_run_that_changes_its_precision_takes_no_scale_over() -> None:
    half, brain = guarded(Model(), 'float16'), guarded(Model(), 'bfloat16')
    brain.load_state_dict({**half.state_dict(), 'skipped': 7})
    assert (brain.scale, brain.skipped) == (1, 7)
    half.load_state_dict(brain.state_dict())
    assert half.scale == FIRST_SCALE


class Plain(Model):
    """Without batch norm, which sees each pass; and with losses that say how they reduce."""

    def __init__(self) -> None:
        super().__init__()
        for name in ('net_g', 'net_g_ema'):
            getattr(self, name)[1] = nn.Identity()
        self.optimizer_g = torch.optim.Adam(self.net_g.parameters(), 1e-3)
        self.optimizers = [self.optimizer_g, self.optimizer_d]


@pytest.mark.parametrize('parts', [2, 4])
def test_several_passes_are_unscaled_once(parts: int) -> None:
    whole, divided, scaled = Plain(), Plain(), Plain()
    extend(divided, [MicroBatches()])
    guard = guarded(scaled, inside=[MicroBatches()])
    train(whole)
    train(divided, parts=parts)
    train(scaled, parts=parts)
    assert guard.good == 1  # iterations, not passes
    for name in ('net_g', 'net_d'):
        pairs = zip(*(getattr(model, name).parameters() for model in (whole, divided, scaled)), strict=True)
        for large, mine, other in pairs:
            assert torch.equal(mine.grad, other.grad)  # divided by 2^16 to the bit
            assert torch.allclose(large.grad, mine.grad, rtol=1e-4, atol=1e-5)  # some are zero but for rounding


def test_one_bad_pass_of_several_skips_the_step() -> None:
    model = Plain()
    guard = guarded(model, inside=[MicroBatches()])
    before = model.state()
    lq = torch.rand(4, 3, 8, 8)
    lq[0] = math.nan
    model.feed_data(Batch(4, lq=lq))
    model.optimize_parameters(1)
    assert all(equal(now, before[name]) for name, now in model.state().items())
    assert guard.skipped == 1


# Two ranks: an overflow in a pass of one of them that exchanges nothing.
RANK = """
import sys, torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from mg_basicsr.training.precision.gradient_guard import GradientGuard
from mg_basicsr.training.extension import extend
from mg_basicsr.training.micro_batches import MicroBatches

rank, file = int(sys.argv[1]), sys.argv[2]
torch.distributed.init_process_group('gloo', init_method=f'file://{file}', rank=rank, world_size=2)

class Model:
    def __init__(self):
        torch.manual_seed(0)
        self.net_g = DistributedDataParallel(nn.Linear(2, 1))
        self.optimizers = [torch.optim.SGD(self.net_g.parameters(), 0.1)]
        self.log_dict = {}
    def feed_data(self, data):
        self.lq = data['lq']
    def optimize_parameters(self, current_iter):
        self.optimizers[0].zero_grad()
        self.net_g(self.lq).mean().backward()
        self.optimizers[0].step()
    def model_ema(self, decay): ...

class Batch(dict):
    parts = 2

model = Model()
guard = GradientGuard('float16')
extend(model, [MicroBatches(), guard])
for iteration in range(3):
    lq = torch.rand(4, 2, generator=torch.Generator().manual_seed(rank))
    if rank == 1 and iteration == 1:
        lq[0] = torch.inf
    model.feed_data(Batch(lq=lq))
    model.optimize_parameters(iteration)
    print(guard.skipped, guard.scale, *model.net_g.module.weight.flatten().tolist())
torch.distributed.destroy_process_group()
"""


def test_ranks_skip_together(tmp_path: Path) -> None:
    env = {**os.environ, 'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': ''}
    command = [sys.executable, '-c', RANK]
    ranks = [
        subprocess.Popen([*command, str(rank), str(tmp_path / 'meet')], stdout=subprocess.PIPE, text=True, env=env)
        for rank in (0, 1)
    ]
    told = [rank.communicate(timeout=120)[0].splitlines() for rank in ranks]
    assert told[0] == told[1]
    first, second, third = (line.split() for line in told[0])
    assert [line[:2] for line in (first, second, third)] == [['0', '65536.0'], ['1', '32768.0'], ['1', '32768.0']]
    assert first[2:] == second[2:] != third[2:]


# What a model's own step does


class Scaled:
    def optimize_parameters(self, scaler: Any, current_iter: int) -> None: ...


class Clipped:
    def optimize_parameters(self, current_iter: int) -> None:
        torch.nn.utils.clip_grad_norm_([], 0.01)


class CallsClipped(Clipped):
    def optimize_parameters(self, current_iter: int) -> None:
        super().optimize_parameters(current_iter)


class InsteadOfClipped(Clipped):
    def optimize_parameters(self, current_iter: int) -> None: ...


class InheritsClipped(Clipped):
    pass


@pytest.mark.parametrize(
    ('kind', 'reason'),
    [
        (Scaled, 'its own gradient scaler'),
        (Clipped, 'clips the gradient'),
        (CallsClipped, 'clips the gradient'),
        (InheritsClipped, 'clips the gradient'),
        (InsteadOfClipped, ''),
        (Model, ''),
    ],
)
def test_steps_that_handle_gradients_themselves_are_known(kind: type, reason: str) -> None:
    found = gradient_handling(object.__new__(kind))
    assert reason in found and bool(reason) == bool(found)

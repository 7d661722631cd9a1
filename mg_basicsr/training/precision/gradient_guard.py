"""Extension for gradients of a reduced precision: scales losses against underflow, and skips steps that are not finite.

Loss scaling as in Micikevicius et al., "Mixed Precision Training" (ICLR 2018), section 3.2: the backward pass starts
from `scale` in place of 1, and each optimiser's gradients are divided by it before the step. Everything in between
(several losses, a discriminator that passes gradients to the generator) is linear in that number. Scales are powers of
two, so that only the range changes.

A step whose gradients hold an inf or a NaN is skipped. All ranks decide alike without communication, since the
gradients are those that DistributedDataParallel has exchanged: an inf on one rank is an inf on all.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch

from mg_basicsr.errors import Problem, TrainingError
from mg_basicsr.patching import replace, replaced
from mg_basicsr.training.extension import Extension, TrainStep
from mg_basicsr.training.host_model import HostModel, held_modules, moving_averages
from mg_basicsr.training.state import not_a_number
from mg_basicsr.training.statistics import Statistics

# Those of torch.amp.GradScaler.
FIRST_SCALE = 2.0**16
GROWTH, GROWTH_INTERVAL = 2.0, 2000  # after so many iterations without a skip
BACKOFF = 0.5

# So many skipped iterations in a row end the run. Halved as often, the first scale is 1/16: scaling is not the cause.
MOST_SKIPPED = 20


class GradientGuard(Extension):
    """Extension that scales losses, skips steps whose gradients are not finite, and counts both.

    An iteration with a skipped step leaves optimiser, weights, moving average and normalisation statistics unchanged;
    of several optimisers only those with such gradients skip their step. A step of several passes is skipped or taken
    as a whole, since this extension is outside of `MicroBatches`.

    Args:
        precision: The reduced type, 'float16' or 'bfloat16'. Losses are scaled for float16 only; bfloat16 has the
            range of float32.
        report: Receives a line about each iteration with a skipped step.

    Attributes:
        scale: Factor of the losses, a power of two.
        good: Iterations since the scale changed.
        in_a_row: Skipped iterations up to now, without one in between that was not.
        skipped: Skipped iterations in all.
    """

    name = 'grad_scaler'

    def __init__(self, precision: str, report: Callable[[str], None] = lambda line: None) -> None:
        self.precision, self.scaled, self.report = precision, precision == 'float16', report
        self.scale = FIRST_SCALE if self.scaled else 1.0
        self.good = 0
        self.in_a_row = 0
        self.skipped = 0
        self._skipping = False

    def attach(self, model: HostModel) -> list[str]:
        """Guard the steps of all optimisers, and the moving average; see `Extension.attach`."""
        averages = {id(average.network) for average in moving_averages(model)}
        self._modules = [module for module in held_modules(model) if id(module) not in averages]
        self._attributes = vars(model)
        self._statistics: Statistics | None = None
        for optimizer in model.optimizers:
            replace(optimizer, 'step', self._guarded_step(optimizer), 'steps on finite gradients only')
        if hasattr(model, 'model_ema'):
            replace(model, 'model_ema', self._unless_skipping(model.model_ema), 'no average of a skipped step')
        return []

    def around(self, call: TrainStep) -> TrainStep:
        """Return the training step, all passes of it, with scaled losses.

        The step raises TrainingError when MOST_SKIPPED iterations in a row had gradients that are not finite.
        """

        @functools.wraps(call)
        def step(*args: Any, **kwargs: Any) -> Any:
            self._skipping = False
            if self._statistics is None:  # not before every extension is attached
                self._statistics = Statistics(self._modules, self._attributes)
            before = self._statistics.kept()
            with scaled_losses(self.scale):
                result = call(*args, **kwargs)
            if self._skipping:  # forward passes have updated the statistics already
                self._statistics.put_back(before)
                self._skip()
            else:
                self._grow()
            return result

        return step

    def _guarded_step(self, optimizer: torch.optim.Optimizer) -> Callable[..., Any]:
        step = optimizer.step

        def guarded(*args: Any, **kwargs: Any) -> Any:
            gradients = [p.grad for group in optimizer.param_groups for p in group['params'] if p.grad is not None]
            if gradients and self.scale != 1:
                torch._foreach_mul_(gradients, 1 / self.scale)
            if all_finite(gradients):
                return step(*args, **kwargs)
            self._skipping = True
            return None

        return guarded

    def _unless_skipping(self, update: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **kwargs: None if self._skipping else update(*args, **kwargs)

    def _grow(self) -> None:
        self.in_a_row = 0
        self.good += 1
        if self.scaled and self.good >= GROWTH_INTERVAL:
            self.scale, self.good = self.scale * GROWTH, 0

    def _skip(self) -> None:
        self.skipped, self.in_a_row = self.skipped + 1, self.in_a_row + 1
        if self.scaled:
            self.scale, self.good = self.scale * BACKOFF, 0
        scale = f'; loss scale now {self.scale:g}' if self.scaled else ''
        spoilt = not_a_number(*self._modules)
        warning = f'; {spoilt} tensors that the networks keep hold a NaN and are not known how to put back' * bool(
            spoilt
        )
        self.report(
            f'gradient not finite, step skipped ({self.in_a_row} in a row, {self.skipped} in all){scale}{warning}'
        )
        if self.in_a_row >= MOST_SKIPPED:
            other = ' or bfloat16' if self.precision == 'float16' else ''
            raise TrainingError(
                Problem(
                    'multigrid.precision',
                    f'{self.precision}: the gradient was not finite in {self.in_a_row} iterations in a row',
                    'no step was taken in them: the weights and the checkpoints are good',
                    f'resume with multigrid.precision: float32{other}; if that fails too, look at lr and the data',
                )
            )

    def state_dict(self) -> dict[str, float]:
        """Return the scale and the counts of iterations."""
        return {'scale': self.scale, 'good': self.good, 'in_a_row': self.in_a_row, 'skipped': self.skipped}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load the state of another guard. Its scale is used only where losses are scaled in both runs."""
        if self.scaled and state['scale'] != 1:
            self.scale, self.good = float(state['scale']), int(state['good'])
        self.in_a_row, self.skipped = int(state['in_a_row']), int(state['skipped'])


def scaled_losses(scale: float) -> AbstractContextManager[None]:
    """Return a context in which every backward pass from a loss starts with `scale` in place of 1.

    `Tensor.backward` calls `torch.autograd.backward`. Reentrant checkpointing calls that once more within a backward
    pass, whose gradients are scaled already, so nested calls are left unscaled.

    Args:
        scale: Factor of the losses, > 0.
    """
    backward = torch.autograd.backward
    running = False

    def scaled(tensors: Any, grad_tensors: Any = None, *args: Any, **kwargs: Any) -> None:
        nonlocal running
        if running:
            backward(tensors, grad_tensors, *args, **kwargs)
            return
        losses = [tensors] if isinstance(tensors, torch.Tensor) else list(tensors)
        given = [grad_tensors] if grad_tensors is None or isinstance(grad_tensors, torch.Tensor) else list(grad_tensors)
        given = given if len(given) == len(losses) else given * len(losses)
        running = True
        try:
            backward(losses, [_scaled(*pair, scale) for pair in zip(losses, given, strict=True)], *args, **kwargs)
        finally:
            running = False

    return replaced(torch.autograd, 'backward', scaled)


def _scaled(loss: torch.Tensor, gradient: torch.Tensor | None, scale: float) -> torch.Tensor | None:
    if gradient is not None:
        return gradient * scale
    return torch.full_like(loss, scale) if loss.numel() == 1 else None  # torch itself refuses more without a gradient


def all_finite(gradients: list[torch.Tensor]) -> bool:
    """Return whether no gradient holds an inf or a NaN, or numbers so large that their squares are not finite."""
    # One reduction over all norms, so that the host waits for the device once, not once per parameter.
    return not gradients or bool(torch.stack(torch._foreach_norm(gradients)).isfinite().all())

"""Extension that makes one optimiser step from several passes, with the large batch's exact gradient.

A BasicSR model clears gradients, runs forward and backward, steps its optimisers and updates its moving average, all in
one method. That method is called once per micro-batch, unedited. Gradients are cleared only before the first pass; they
are averaged and exchanged between ranks, and optimisers and moving average updated, only in the last.

Networks with statistics of their activations (batch norm, spectral norm) see the passes, not the batch. If sub-batch
norm divides each pass into whole sub-batches, the gradient is exact with batch norm too.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from mg_basicsr.errors import Problem, TrainingError
from mg_basicsr.patching import replace, replaced
from mg_basicsr.training.extension import Extension, TrainStep
from mg_basicsr.training.gradient_handling import gradient_handling
from mg_basicsr.training.host_model import HostModel, trained_networks, wrapped_networks

# Losses that compare clips of the batch with each other: no sum over micro-batches gives the large batch's value.
NOT_DECOMPOSABLE = {
    'ESRGANModel': 'its relativistic loss compares each clip with the mean of the batch',
    'StyleGAN2Model': 'its regularisers count iterations and mix clips of the batch',
    'HiFaceGANModel': 'its networks normalise over the batch',
}


def split_batch(batch: Mapping[str, Any], parts: int) -> list[dict[str, Any]]:
    """Cut a collated mini-batch into equal parts.

    Args:
        batch: Tensors (clips, ...), lists and tuples of `clips` entries; any other value is in every part.
        parts: Number of parts, a divisor of `clips`.
    """

    def cut(value: Any, n: int) -> Any:
        if not isinstance(value, (torch.Tensor, list, tuple)):
            return value
        size = len(value) // parts
        return value[n * size : (n + 1) * size]

    return [{key: cut(value, n) for key, value in batch.items()} for n in range(parts)]


class MicroBatches(Extension):
    """Extension that trains on mini-batches of several parts (`data.parts`, see PlannedBatch) in as many passes."""

    name = 'micro_batches'

    def attach(self, model: HostModel) -> list[str]:
        """Replace `feed_data`.

        Raises:
            TrainingError: the model's step cannot be divided exactly; its class and the reason are named.
        """
        refuse_indivisible(model)
        self.model = model
        self.mean = _reductions(model) != {'sum'}
        self._feed = model.feed_data
        self._parts: list[dict[str, Any]] = []
        replace(model, 'feed_data', self.feed_data, 'mini-batches in several passes')
        reduction = 'mean' if self.mean else 'sum'
        return [
            f'{", ".join(trained_networks(model))}: gradients of several passes per step ({reduction} over the batch)'
        ]

    def feed_data(self, data: Mapping[str, Any]) -> None:
        """Feed a batch of one part to the model; keep a batch of several, and feed its first."""
        parts = getattr(data, 'parts', 1)
        self._parts = split_batch(data, parts) if parts > 1 else []
        self._feed(self._parts[0] if self._parts else data)

    def around(self, call: TrainStep) -> TrainStep:
        """Return a step that calls the training step once per part."""

        @functools.wraps(call)
        def step(*args: Any, **kwargs: Any) -> Any:
            if not self._parts:
                return call(*args, **kwargs)
            logs = []
            for n, part in enumerate(self._parts):
                if n:
                    self._feed(part)
                with self._pass(first=n == 0, last=n == len(self._parts) - 1):
                    result = call(*args, **kwargs)
                logs.append(dict(self.model.log_dict))
            self.model.log_dict = self._joined(logs)
            return result

        return step

    @contextmanager
    def _pass(self, first: bool, last: bool) -> Iterator[None]:
        """Let the model change gradients, weights and moving average only in the passes in which it should."""
        share = 1 / len(self._parts) if self.mean else 1.0
        with ExitStack() as stack:
            for optimizer in self.model.optimizers:
                if not first:
                    stack.enter_context(replaced(optimizer, 'zero_grad', _nothing))
                step = _averaged_step(optimizer, share) if last else _nothing
                stack.enter_context(replaced(optimizer, 'step', step))
            if not last:
                stack.enter_context(replaced(self.model, 'model_ema', _nothing))
                for network in wrapped_networks(self.model):
                    stack.enter_context(network.no_sync())  # ranks exchange the sum of the passes once, in the last
            yield

    def _joined(self, logs: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the large batch's log: the mean over the passes, and the sum for losses that sum over the batch."""
        divisor = {key: 1 if not self.mean and key.startswith('l_') else len(logs) for key in logs[0]}
        return {key: sum(log[key] for log in logs) / divisor[key] for key in logs[0]}


def refuse_indivisible(model: HostModel) -> None:
    """Check that a model's training step can be divided into passes with the same gradient.

    Raises:
        TrainingError: it cannot, or that is not known.
    """
    name = type(model).__name__
    reason = next((why for base in type(model).__mro__ if (why := NOT_DECOMPOSABLE.get(base.__name__))), None)
    reason = gradient_handling(model) or reason
    if not reason and len(_reductions(model)) > 1:
        reason = 'some of its losses take the mean over the batch and others the sum'
    if reason:
        raise TrainingError(
            Problem(
                'model_type',
                f'{name} cannot take a step in several passes: {reason}',
                'allowed: one pass per step for this model',
                'raise multigrid.max_clips to what a rank takes per step, use more ranks, or a smaller batch_size',
            )
        )


def _reductions(model: HostModel) -> set[str]:
    """Return the reductions over the batch of a model's losses (BasicSR names them cri_...): mean, sum or both."""
    losses = [value for name, value in vars(model).items() if name.startswith('cri_') and isinstance(value, nn.Module)]
    found = {getattr(module, 'reduction', None) for loss in losses for module in loss.modules()}
    return {str(reduction) for reduction in found if reduction in ('mean', 'sum')}


def _averaged_step(optimizer: torch.optim.Optimizer, share: float) -> Callable[..., Any]:
    """Return `optimizer.step` on the mean of the passes' gradients instead of their sum."""
    step = optimizer.step

    def averaged(*args: Any, **kwargs: Any) -> Any:
        if share != 1.0:
            for group in optimizer.param_groups:
                for parameter in group['params']:
                    if parameter.grad is not None:
                        parameter.grad.mul_(share)
        return step(*args, **kwargs)

    return averaged


def _nothing(*args: Any, **kwargs: Any) -> None:
    return None

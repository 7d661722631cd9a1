"""One optimiser step from several passes of a model's own training step, with the large batch's exact gradient.

A BasicSR model clears gradients, runs forward and backward, steps its optimisers and updates its moving average, all in
one method. That method is called once per micro-batch, unedited; around it, gradients are cleared only before the
first, and averaged, exchanged between ranks, stepped on and followed by the moving average only in the last.

Networks that keep statistics of what passes through them (batch norm, spectral norm) see the passes, not the batch.
Where sub-batch norm divides each pass into whole sub-batches, the gradient is exact with batch norm too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from mg_basicsr.errors import Problem, TrainingError
from mg_basicsr.training.own_step import gradient_handling, replaced

# Losses that compare clips of the batch with each other: no sum over micro-batches gives the large batch's value.
NOT_DECOMPOSABLE = {
    'ESRGANModel': 'its relativistic loss compares each clip with the mean of the batch',
    'StyleGAN2Model': 'its regularisers count iterations and mix clips of the batch',
    'HiFaceGANModel': 'its networks normalise over the batch',
}


def split_batch(batch: Mapping[str, Any], parts: int) -> list[dict[str, Any]]:
    """Cuts a collated mini-batch into `parts` equal ones, along the first axis of tensors and the length of lists."""

    def cut(value: Any, n: int) -> Any:
        if not isinstance(value, (torch.Tensor, list, tuple)):
            return value
        size = len(value) // parts
        return value[n * size : (n + 1) * size]

    return [{key: cut(value, n) for key, value in batch.items()} for n in range(parts)]


class MicroBatches:
    """Makes a BasicSR model take a mini-batch in several passes.

    Args:
        model: The model, its optimisers set up.

    Raises:
        TrainingError: the model's step cannot be divided exactly; its class and the reason are named.
    """

    def __init__(self, model: Any) -> None:
        refuse_indivisible(model)
        self.model = model
        self.mean = _reductions(model) != {'sum'}
        self._feed, self._optimize = model.feed_data, model.optimize_parameters
        self._parts: list[dict[str, Any]] = []
        model.feed_data, model.optimize_parameters = self.feed_data, self.optimize_parameters

    def feed_data(self, data: Mapping[str, Any]) -> None:
        """Takes a batch; one that says it comes in several parts (`data.parts`) is kept and fed part by part."""
        parts = getattr(data, 'parts', 1)
        self._parts = split_batch(data, parts) if parts > 1 else []
        self._feed(self._parts[0] if self._parts else data)

    def optimize_parameters(self, *args: Any, **kwargs: Any) -> Any:
        """The model's own training step, once per part."""
        if not self._parts:
            return self._optimize(*args, **kwargs)
        logs = []
        for n, part in enumerate(self._parts):
            if n:
                self._feed(part)
            with self._pass(first=n == 0, last=n == len(self._parts) - 1):
                result = self._optimize(*args, **kwargs)
            logs.append(dict(self.model.log_dict))
        self.model.log_dict = self._joined(logs)
        return result

    @contextmanager
    def _pass(self, first: bool, last: bool) -> Iterator[None]:
        """The model's state for one pass: what it may do to gradients, weights and moving average."""
        share = 1 / len(self._parts) if self.mean else 1.0
        with ExitStack() as stack:
            for optimizer in self.model.optimizers:
                if not first:
                    stack.enter_context(replaced(optimizer, 'zero_grad', _nothing))
                step = _averaged_step(optimizer, share) if last else _nothing
                stack.enter_context(replaced(optimizer, 'step', step))
            if not last:
                stack.enter_context(replaced(self.model, 'model_ema', _nothing))
                for network in _networks(self.model, DistributedDataParallel):
                    stack.enter_context(network.no_sync())
            yield

    def _joined(self, logs: list[dict[str, Any]]) -> dict[str, Any]:
        """The large batch's log: the mean over the passes, and the sum for losses that sum over the batch."""
        divisor = {key: 1 if not self.mean and key.startswith('l_') else len(logs) for key in logs[0]}
        return {key: sum(log[key] for log in logs) / divisor[key] for key in logs[0]}


def refuse_indivisible(model: Any) -> None:
    """Checks that a model's training step can be divided into passes with the same gradient.

    Raises:
        TrainingError: it cannot, or that cannot be told.
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


def _networks(model: Any, kind: type[nn.Module]) -> Iterable[Any]:
    return [value for value in vars(model).values() if isinstance(value, kind)]


def _reductions(model: Any) -> set[str]:
    """How the model's losses (BasicSR names them cri_...) reduce over the batch: mean, sum or both."""
    losses = [value for name, value in vars(model).items() if name.startswith('cri_') and isinstance(value, nn.Module)]
    found = {getattr(module, 'reduction', None) for loss in losses for module in loss.modules()}
    return {str(reduction) for reduction in found if reduction in ('mean', 'sum')}


def _averaged_step(optimizer: torch.optim.Optimizer, share: float) -> Callable[..., Any]:
    """`optimizer.step` on the mean of the passes' gradients instead of their sum."""
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

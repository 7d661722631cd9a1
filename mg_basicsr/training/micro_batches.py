"""Extension: one optimiser step from several passes of a model's training step, with the large batch's exact gradient.

A BasicSR model clears gradients, runs forward and backward, steps its optimisers and updates its moving average, all in
one method. That method is called once per micro-batch, unedited; around it, gradients are cleared only before the
first, and averaged, exchanged between ranks, stepped on and followed by the moving average only in the last. Where the
losses are sums over the batch they are not averaged; which it is is measured at the start (training/trial/passes.py).

Networks that keep statistics of what passes through them (batch norm, spectral norm) see the passes, not the batch.
Where sub-batch norm divides each pass into whole sub-batches, the gradient is exact with batch norm too.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from mg_basicsr.errors import Problem, TrainingError
from mg_basicsr.patching import replace, replaced
from mg_basicsr.schedule.plan import Step
from mg_basicsr.training.batch_parts import split_batch
from mg_basicsr.training.extension import Extension, TrainStep
from mg_basicsr.training.gradient_handling import gradient_handling
from mg_basicsr.training.host_model import HostModel, feeding_methods, trained_networks, wrapped_networks
from mg_basicsr.training.loss_log import LossLog, Unread
from mg_basicsr.training.step_arguments import Batch, batch_among, with_batch

# BasicSR's own classes, by their origin: what no sum over passes gives, and a measurement (training/trial/passes.py)
# does not see, as it is made with layers that normalise over the batch set aside. A class of a repository's own under
# one of these names is measured like any other.
NOT_DECOMPOSABLE = {
    'basicsr.models.stylegan2_model.StyleGAN2Model': 'its regularisers count iterations and mix clips of the batch',
    'basicsr.models.hifacegan_model.HiFaceGANModel': 'its networks normalise over the batch',
}
REMEDY = 'raise multigrid.max_clips to what a rank takes per step, use more ranks, or a smaller batch_size'


class MicroBatches(Extension):
    """Take mini-batches that come in several parts (`data.parts`, see PlannedBatch) in as many passes."""

    name = 'micro_batches'

    def attach(self, model: HostModel) -> list[str]:
        """Wrap the methods that take a mini-batch.

        Raises:
            TrainingError: the model's step cannot be divided exactly; its class and the reason are named.
        """
        refuse_indivisible(model)
        self.model = model
        self.mean = known_reduction(model) != 'sum'  # until it is measured
        # as they are before other extensions change them
        self.plain_forwards = [
            (module, vars(module).get('forward'))
            for network in trained_networks(model).values()
            for module in network.modules()
        ]
        self._parts: list[Batch] = []
        self._due, self._fed, self._stepping = 1, False, False
        for name, method in feeding_methods(model).items():
            replace(model, name, functools.partial(self._take, method), 'mini-batches in several passes')
        return [f'{", ".join(trained_networks(model))}: gradients of several passes per step']

    def before_step(self, step: Step) -> None:
        """Note the passes of the step, for a train loop that feeds its mini-batch in another mapping."""
        self._due = step.accumulate

    def feed(self, part: Batch) -> None:
        """Feed a part by the method that the train loop has called, with the loop's further arguments."""
        self._feed(part)

    def _take(self, method: Callable[..., Any], data: Batch, *args: Any, **kwargs: Any) -> None:
        """Feed a batch that comes in one part; keep one that comes in several, and feed the first."""
        if self._stepping:  # a step that feeds what it is handed
            method(data, *args, **kwargs)
            return
        self._fed = True
        self._feed: Callable[[Batch], Any] = lambda part: method(part, *args, **kwargs)
        self._divide(data)
        self.feed(self._parts[0])

    def _divide(self, data: Batch) -> None:
        parts = getattr(data, 'parts', self._due)
        self._due = 1  # what is fed besides is of a validation
        self._parts = list(split_batch(data, parts)) if parts > 1 else [data]

    def around(self, call: TrainStep) -> TrainStep:
        """Make the training step once per part."""

        @functools.wraps(call)
        def step(*args: Any, **kwargs: Any) -> Any:
            given = batch_among(args, kwargs)
            if given is not None and not self._fed:  # a step that is handed its mini-batch, without feed_data
                self._feed = _nothing
                self._divide(given)
            self._fed, self._stepping = False, True
            try:
                return self._in_passes(call, args, kwargs) if len(self._parts) > 1 else call(*args, **kwargs)
            finally:
                self._stepping = False

        self.step = step
        return step

    def _in_passes(self, call: TrainStep, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        logs: list[dict[str, Any]] = []
        for n, part in enumerate(self._parts):
            if n:
                self.feed(part)
            args, kwargs = with_batch(args, kwargs, part)
            with self._pass(first=n == 0, last=n == len(self._parts) - 1):
                result = call(*args, **kwargs)
            log = self.model.log_dict
            logs.append(log if isinstance(log, LossLog) else dict(log))
        self.model.log_dict = self._joined(logs)
        return result

    @contextmanager
    def _pass(self, first: bool, last: bool) -> Iterator[None]:
        """Limit what one pass does to gradients, weights and the moving average to its share of the step."""
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
                    stack.enter_context(network.no_sync())
            yield

    def _joined(self, logs: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the log of the large batch: means over the passes, and sums of losses that sum over the batch."""

        def value(key: str) -> Any:
            divisor = 1 if not self.mean and key.startswith('l_') else len(logs)
            return sum(log[key] for log in logs) / divisor

        if isinstance(logs[0], LossLog):  # which is not read here
            return LossLog({key: Unread(functools.partial(value, key)) for key in logs[0].names()})
        return {key: value(key) for key in logs[0]}


def refuse_indivisible(model: HostModel) -> None:
    """Check that a model's training step can be divided into passes with the same gradient.

    Raises:
        TrainingError: It cannot, or that is unknown.
    """
    name = type(model).__name__
    bases = [f'{base.__module__}.{base.__qualname__}' for base in type(model).__mro__]
    reason = next((NOT_DECOMPOSABLE[base] for base in bases if base in NOT_DECOMPOSABLE), None)
    reason = gradient_handling(model) or reason
    if reason:
        raise TrainingError(
            Problem(
                'model_type',
                f'{name} cannot take a step in several passes: {reason}',
                'allowed: one pass per step for this model',
                REMEDY,
            )
        )


def losses_of(model: HostModel) -> dict[str, nn.Module]:
    """Return a model's losses, by attribute: BasicSR names them cri_..."""
    return {name: loss for name, loss in vars(model).items() if name.startswith('cri_') and isinstance(loss, nn.Module)}


def known_reduction(model: HostModel) -> str:
    """Return how all of a model's losses say that they reduce over the batch: 'mean' or 'sum'.

    '' where a loss does not say, or losses differ.
    """
    losses = losses_of(model).values()
    found = [{getattr(module, 'reduction', None) for module in loss.modules()} & {'mean', 'sum'} for loss in losses]
    return str(*found[0]) if found and all(each == found[0] and len(each) == 1 for each in found) else ''


def _averaged_step(optimizer: torch.optim.Optimizer, share: float) -> Callable[..., Any]:
    """Return a function that calls `optimizer.step` on the mean of the passes' gradients instead of their sum."""
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

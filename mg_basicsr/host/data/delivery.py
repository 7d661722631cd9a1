"""Extension that checks that every step is made on the mini-batch of its iteration. It is always on."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from mg_basicsr.errors import Problem, TrainingError, ending_cleanly
from mg_basicsr.host.iteration import begin_if_due, other_number
from mg_basicsr.host.run import Run
from mg_basicsr.patching import replace
from mg_basicsr.training.extension import Extension, TrainStep
from mg_basicsr.training.host_model import HostModel, feeding_methods

# Names of the parameter of optimize_parameters that is the iteration, in BasicSR and in repositories built on it.
ITERATION = ('current_iter', 'cur_iter', 'iteration', 'n_iter', 'iters', 'step', 'current_step')


class DeliveredBatches(Extension):
    """Extension that refuses a step on a mini-batch of another iteration, or not from the planned loader.

    Where the train loop has not begun the iteration of a mini-batch, it begins here, before the batch is fed.

    Args:
        run: The run.
    """

    name = 'delivered_batches'

    def __init__(self, run: Run) -> None:
        self.run = run

    def attach(self, model: HostModel) -> list[str]:
        """Wrap the methods that take a mini-batch."""
        self.model = model
        # of the class: the instance's own may be a wrapper of another extension
        self._number = _number_of(type(model).optimize_parameters)
        for name, method in feeding_methods(model).items():
            replace(model, name, ending_cleanly(self._beginning(method)), 'an iteration begins with its mini-batch')
        return []

    def _beginning(self, feed: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(feed)
        def call(*args: Any, **kwargs: Any) -> Any:
            if args and isinstance(args[0], Mapping) and not args[0]:
                raise TrainingError(_after_the_end(self.run.plan.total_iter))
            if self._is_delivered((*args, *kwargs.values())):  # not a batch of a validation
                begin_if_due(self.run, self.model)
            return feed(*args, **kwargs)

        return call

    def _is_delivered(self, given: Sequence[Any]) -> bool:
        """Return whether the mini-batch of the plan is among some arguments, itself or in another mapping."""
        batch = self.run.loader.batch if self.run.has_loader else None
        if not batch:
            return False
        tensors = {id(value) for value in batch.values() if torch.is_tensor(value)}
        mappings = [value for value in given if isinstance(value, Mapping)]
        return any(value is batch or any(id(entry) in tensors for entry in value.values()) for value in mappings)

    def around(self, call: TrainStep) -> TrainStep:
        """Return the training step, which raises TrainingError if the last delivered batch is of another iteration."""

        @functools.wraps(call)
        def step(*args: Any, **kwargs: Any) -> Any:
            begin_if_due(self.run, self.model)
            delivered, number = self.run.loader.delivered, self._number(args, kwargs)
            if delivered != self.run.iteration - 1:
                raise TrainingError(other_number(f'makes the step of iteration {self.run.iteration:,}', delivered))
            if number is not None and number != self.run.iteration:
                raise TrainingError(other_number(f'calls optimize_parameters with the number {number}', delivered))
            result = call(*args, **kwargs)
            self.run.clock.trained = self.run.iteration
            return result

        return step


def _after_the_end(total: int) -> Problem:
    return Problem(
        '',
        f'the train loop continues after all {total:,} iterations of the plan',
        'needed: a loop that ends when its iteration is beyond train.total_iter, as that of BasicSR',
        'end it there, or remove the multigrid block; the checkpoints that the loop has saved are whole',
    )


def _number_of(method: Callable[..., Any]) -> Callable[[tuple[Any, ...], dict[str, Any]], int | None]:
    """Return what finds the iteration among the arguments of a model's method; None where it has no such parameter."""
    _, *names = inspect.signature(method).parameters

    def number(args: tuple[Any, ...], kwargs: dict[str, Any]) -> int | None:
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        found = next((given[name] for name in ITERATION if name in given), None)
        return found if type(found) is int else None

    return number

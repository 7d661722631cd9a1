"""Extension that checks that every step is made on the mini-batch of its iteration. It is always on."""

from __future__ import annotations

import functools
from typing import Any

from mg_basicsr.errors import Problem, TrainingError
from mg_basicsr.host.run import Run
from mg_basicsr.training.extension import Extension, TrainStep


class DeliveredBatches(Extension):
    """Extension that refuses a step on a mini-batch of another iteration, or not from the planned loader.

    Args:
        run: The run.
    """

    name = 'delivered_batches'

    def __init__(self, run: Run) -> None:
        self.run = run

    def around(self, call: TrainStep) -> TrainStep:
        """Return the training step, which raises TrainingError if the last delivered batch is of another iteration."""

        @functools.wraps(call)
        def step(*args: Any, **kwargs: Any) -> Any:
            delivered = self.run.loader.delivered
            if delivered != self.run.iteration - 1:
                raise TrainingError(_other_batch(self.run.iteration, delivered))
            return call(*args, **kwargs)

        return step


def _other_batch(iteration: int, delivered: int | None) -> Problem:
    batch = 'no mini-batch of the plan' if delivered is None else f'the mini-batch of iteration {delivered + 1:,}'
    return Problem(
        '',
        f'the train loop makes the step of iteration {iteration:,} with {batch}',
        'needed: for each iteration prefetcher.next(), then update_learning_rate, feed_data and optimize_parameters of '
        'the model',
        'change the order of these calls in the train loop, or remove the multigrid block',
    )

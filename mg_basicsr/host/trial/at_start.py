"""Extension: every shape of the plan is tried before the first step of a process."""

from __future__ import annotations

import functools
import time
from typing import Any

import torch

from mg_basicsr.errors import MultigridError
from mg_basicsr.host.log import logger
from mg_basicsr.host.run import Run
from mg_basicsr.host.trial.agreement import agree
from mg_basicsr.host.trial.trials import (
    Arguments,
    Trials,
    arguments_as_called,
    distinct_batches,
    in_trial,
    warn_of_traces,
)
from mg_basicsr.schedule.plan import RankBatch
from mg_basicsr.training.extension import Extension, TrainStep
from mg_basicsr.training.trial.snapshot import on_trial
from mg_basicsr.training.trial.steps import attempt

MOST_PASSES = 2  # of a step on trial: a third one needs no other memory


class ShapesAtStart(Extension):
    """Try every shape with the arguments of the first training step, before that is made.

    It is the first step of this process, after a resume too: the machine may be another.

    Args:
        run: The run.
    """

    name = 'shapes_at_start'

    def __init__(self, run: Run) -> None:
        self.run = run

    def around(self, call: TrainStep) -> TrainStep:
        """Try all shapes with `call`, so that trial steps pass through the extensions inside, and no others."""
        tried = False

        @functools.wraps(call)
        def step(*args: Any, **kwargs: Any) -> Any:
            nonlocal tried
            if not tried:
                tried = True
                arguments = arguments_as_called(self.run.iteration, args, kwargs)
                with self.run.watch.pause('trial'):
                    seconds = try_every_shape(self.run, call, arguments, args, kwargs)
                self.run.watch.tried(seconds)
            return call(*args, **kwargs)

        return step


def try_every_shape(run: Run, call: TrainStep, arguments: Arguments, *kept: Any) -> dict[RankBatch, float]:
    """Make one training step of every shape of the plan, the largest first, and undo them.

    The largest is tried twice: the second time with the optimiser's state in memory. On a GPU every shape is tried
    twice, since kernels are chosen in the first step of a shape, which therefore takes longer than those of training.

    Args:
        run: The run, its model and loader made.
        call: The training step.
        arguments: Arguments of the training step.
        kept: Objects in these arguments, to be restored as well.

    Returns:
        Seconds of a step of each shape, all its passes; without loading.

    Raises:
        TrainingError: a shape fails, on this rank or on another.
    """
    start = time.perf_counter()
    shapes = distinct_batches(run.plan)
    error: MultigridError | None = None
    seconds: dict[RankBatch, float] = {}
    try:
        with on_trial(run.model, run.parts, *kept) as trial, in_trial(run):
            trials = Trials(run, run.loader.dataset, arguments, call)
            twice = trials.device.type == 'cuda'
            for stage, batch in [shapes[0], *(shape for shape in shapes for _ in range(1 + twice))]:
                step = trials.step(batch, MOST_PASSES)
                began = time.perf_counter()
                if failure := attempt(step, trials.device):
                    raise trials.error(stage, batch, failure)
                passes = min(batch.accumulate, MOST_PASSES)
                seconds[batch] = (time.perf_counter() - began) * batch.accumulate / passes
        warn_of_traces(trial)
    except MultigridError as found:
        error = found
    agree(run, error)
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()  # laid out for the largest shape, and the first is the smallest
    took = time.perf_counter() - start
    if run.rehearsed:
        logger().info(f'multigrid: validation, loggers, saving and loading tried before that in {run.rehearsed:.1f} s')
    logger().info(
        f'multigrid: {len(shapes)} shapes tried forward and backward in {took:.1f} s (check: false leaves this out)'
    )
    return seconds

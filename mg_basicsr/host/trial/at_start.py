"""The check at a run's start: every shape of the plan is tried before the first step."""

from __future__ import annotations

import functools
import time
from typing import Any

import torch

from mg_basicsr.errors import MultigridError, Problem, TrainingError
from mg_basicsr.host.log import logger
from mg_basicsr.host.norm import whole_batches
from mg_basicsr.host.patches.planned_options import fail
from mg_basicsr.host.run import Run
from mg_basicsr.host.trial.trials import Arguments, Trials, arguments_as_called, distinct_batches
from mg_basicsr.training.acceleration import keep_freed_memory
from mg_basicsr.training.trial.snapshot import on_trial
from mg_basicsr.training.trial.steps import attempt


def check_before_first_step(run: Run, model: Any) -> None:
    """Lets the model's first training step be preceded by one of every shape that leaves no trace.

    It is the first step of this process, after a resume too: the machine may be another. The train loop's own arguments
    are used, whatever they are.
    """
    optimize = model.optimize_parameters
    begun = False

    @functools.wraps(optimize)
    def checked(*args: Any, **kwargs: Any) -> Any:
        nonlocal begun
        if not begun:
            begun = True  # the steps on trial come through here too
            try:
                try_every_shape(run, arguments_as_called(run.iteration, args, kwargs), args, kwargs)
            except MultigridError as error:
                fail(error)
            if torch.device(getattr(model, 'device', 'cpu')).type == 'cpu':
                # not before: of memory that is kept, a smaller batch might not find enough in one piece
                keep_freed_memory()
        return optimize(*args, **kwargs)

    model.optimize_parameters = checked


def try_every_shape(run: Run, arguments: Arguments, *kept: Any) -> None:
    """One training step of every shape of the plan, the largest first, and that one twice: the second time with the
    optimiser's state in memory. Nothing of it remains.

    Args:
        run: The run, its model and loader made.
        arguments: Those of the model's step.
        kept: What they consist of, to be put back as well.

    Raises:
        TrainingError: a shape fails, on this rank or on another; or the train loop reads its data past us.
    """
    if run.loader is None:
        raise TrainingError(
            Problem(
                '',
                'the train loop has made no prefetcher of BasicSR, so its mini-batches are not those of the plan',
                'needed: basicsr.data.prefetch_dataloader.CPUPrefetcher or CUDAPrefetcher around the loader',
                'use one, as the train.py of BasicSR does, or remove the multigrid block',
            )
        )
    start = time.perf_counter()
    shapes = distinct_batches(run.plan)
    error: MultigridError | None = None
    try:
        with on_trial(run.model, run.parts, *kept):
            whole_batches(run)
            trials = Trials(run, run.loader.dataset, arguments)
            for stage, batch in [shapes[0], *shapes]:
                if failure := attempt(trials.step(batch, 2), trials.device):
                    raise trials.error(stage, batch, failure)
    except MultigridError as found:
        error = found
    _agree(run, error)
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()  # laid out for the largest shape, and the first is the smallest
    seconds = time.perf_counter() - start
    logger().info(
        f'multigrid: {len(shapes)} shapes tried forward and backward in {seconds:.1f} s (check: false leaves this out)'
    )


def _agree(run: Run, error: MultigridError | None) -> None:
    """Ends every rank if one has failed: the others would wait for it."""
    if run.plan.world_size > 1 and torch.distributed.is_initialized():
        told: list[str | None] = [None] * run.plan.world_size
        torch.distributed.all_gather_object(told, str(error) if error else None)
        failed = next((rank for rank, text in enumerate(told) if text), None)
        if error is None and failed is not None:
            error = TrainingError(Problem(f'rank {failed}', 'cannot train: see its message'))
    if error is not None:
        raise error

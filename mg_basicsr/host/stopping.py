"""A signal that asks a run to end: the step is finished and saved, and the process leaves with a code of its own.

Handlers only take a note, which is looked at between two steps, where the model's state is that of an iteration. They
are in place from the first step to the last; before and after, and for what was ignored already, nothing changes.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from mg_basicsr.host.log import logger
from mg_basicsr.host.run import Run
from mg_basicsr.training.host_model import HostModel
from mg_basicsr.training.stop_signals import InterruptedValidationError

EXIT_CODE = os.EX_TEMPFAIL  # 75 of sysexits.h, "try again later": a job with this code is to be queued again


def between_steps(run: Run, model: HostModel) -> None:
    """Ends the run here if any rank was asked to. Called by all ranks between the same two steps.

    Raises:
        SystemExit: with EXIT_CODE, once `run.iteration` is saved.
    """
    if not run.stop.watching:  # before the first step there is nothing to save
        run.stop.watch()
    elif any_rank(run, model, run.stop.received is not None):
        finish(run, model)


@contextmanager
def interruptible(run: Run, model: HostModel) -> Iterator[None]:
    """A validation of a single process, which may take longer than a scheduler waits: a signal ends it at once.

    Several ranks exchange their results in it, so that none may leave alone: there a signal waits for its end.
    """
    if not run.stop.watching or run.plan.world_size > 1:
        yield
        return
    run.stop.at_once = True
    try:
        if run.stop.received:
            raise InterruptedValidationError
        yield
    except (InterruptedValidationError, Exception):  # or whatever becomes of the host's workers, which got it too
        run.stop.at_once = False
        if run.stop.received is None:
            raise
        finish(run, model, 'during a validation, which is not repeated, ')
    finally:
        run.stop.at_once = False


def any_rank(run: Run, model: HostModel, flag: bool) -> bool:
    """Whether the flag is set on any rank: one number is exchanged between them."""
    if run.plan.world_size == 1:
        return flag
    import torch
    from torch import distributed

    highest = torch.tensor(float(flag), device=model.device)
    distributed.all_reduce(highest, distributed.ReduceOp.MAX)
    return bool(highest)


def finish(run: Run, model: HostModel, when: str = '') -> NoReturn:
    """Saves the current iteration as the train loop would, says so, and ends the process."""
    saved = _save(run, model)
    cause = run.stop.received.name if run.stop.received else 'a signal to another rank'
    at = f'multigrid: {cause} {when}after iteration {run.iteration:,}'
    outcome = 'which is saved' if saved else 'which could not be saved: the checkpoint before it is the newest'
    if run.rank == 0:
        logger().warning(
            f'{at}, {outcome}. The same command with --auto_resume continues there (exit code {EXIT_CODE}).'
        )
    any_rank(run, model, True)  # a rank that left before the first has saved would have its launcher end them all
    run.stop.put_back()
    raise SystemExit(EXIT_CODE)


def _save(run: Run, model: HostModel) -> bool:
    """Whether there is a training state of this iteration now. BasicSR only warns of a save that failed."""
    try:
        inspect.signature(model.save).bind(run.clock.epoch, run.iteration)
    except TypeError:  # a repository's own, with more arguments than we know
        return False
    model.save(run.clock.epoch, run.iteration)
    folder = model.opt['path'].get('training_states', '')
    return run.rank > 0 or (Path(folder) / f'{run.iteration}.state').is_file()

"""End of a run at a signal: after the current step it is saved, and the process ends with exit code 75.

Handlers only record a signal. It is looked at between two steps, where the model's state is that of an iteration.
Handlers are installed from the first step to the last; signals that were ignored before stay ignored.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

from mg_basicsr.host.log import logger
from mg_basicsr.host.run import Run
from mg_basicsr.patching import replace
from mg_basicsr.training.host_model import HostModel
from mg_basicsr.training.stop_signals import InterruptedValidationError

ITERATION = object()  # in the place of an argument that is the iteration
EXIT_CODE = os.EX_TEMPFAIL  # 75, in sysexits.h "try again later": schedulers can be set to queue such a job again


def between_steps(run: Run, model: HostModel) -> None:
    """End the run if any rank has received a signal. Called by all ranks between the same two steps.

    Args:
        run: The run.
        model: BasicSR's model.

    Raises:
        SystemExit: a rank has received a signal, and `run.iteration` is saved; with EXIT_CODE.
    """
    if not run.stop.watching:  # before the first step there is nothing to save
        run.stop.watch()
    elif any_rank(run, model, run.stop.received is not None):
        finish(run, model)


@contextmanager
def interruptible(run: Run, model: HostModel) -> Iterator[None]:
    """Let a signal end a validation at once, which may take longer than a scheduler waits.

    Only in a single process: several ranks exchange their results in a validation, so that none may leave alone. There
    a signal takes effect after it.

    Args:
        run: The run.
        model: BasicSR's model.

    Raises:
        InterruptedValidationError: within the context only, where it is caught.
        SystemExit: a signal has ended the validation; the iteration is saved.
    """
    if not run.stop.watching or run.plan.world_size > 1:
        yield
        return
    run.stop.at_once = True
    try:
        if run.stop.received:  # between the last step and here
            raise InterruptedValidationError
        yield
    except (InterruptedValidationError, Exception):  # workers may get the signal too, and raise any exception here
        run.stop.at_once = False
        if run.stop.received is None:
            raise
        finish(run, model, 'during a validation, which is not repeated, ')
    finally:
        run.stop.at_once = False


def any_rank(run: Run, model: HostModel, flag: bool) -> bool:
    """Return whether a flag is set on any rank. All ranks call this together.

    Args:
        run: The run.
        model: BasicSR's model, for its device.
        flag: Flag of this rank.
    """
    if run.plan.world_size == 1:
        return flag
    import torch
    from torch import distributed

    highest = torch.tensor(float(flag), device=model.device)
    distributed.all_reduce(highest, distributed.ReduceOp.MAX)
    return bool(highest)


def finish(run: Run, model: HostModel, when: str = '') -> NoReturn:
    """Save the current iteration as the train loop would, log the outcome, and end the process.

    Args:
        run: The run.
        model: BasicSR's model.
        when: Time of the signal, for the log line.

    Raises:
        SystemExit: always, with EXIT_CODE.
    """
    saved = _save(run, model)
    cause = run.stop.received.name if run.stop.received else 'a signal to another rank'
    at = f'multigrid: {cause} {when}after iteration {run.iteration:,}'
    outcome = 'which is saved' if saved else 'which could not be saved: the checkpoint before it is the newest'
    if run.rank == 0:
        logger().warning(
            f'{at}, {outcome}. The same command with --auto_resume continues there (exit code {EXIT_CODE}).'
        )
    any_rank(run, model, True)  # a barrier: at the end of a rank, torchrun ends the others, also one that still saves
    run.stop.put_back()
    raise SystemExit(EXIT_CODE)


def note_saves(run: Run, model: HostModel) -> None:
    """Note how the train loop calls the model's `save`, which may take more than BasicSR's.

    Args:
        run: The run.
        model: BasicSR's model.
    """
    save, signature = model.save, inspect.signature(model.save)

    @functools.wraps(save)
    def noted(*args: Any, **kwargs: Any) -> Any:
        with suppress(TypeError):  # which the call itself raises
            given = signature.bind(*args, **kwargs).arguments
            numbers = {name for name, value in given.items() if type(value) is int and value == run.clock.trained}
            if numbers - {'epoch'}:  # not the call at the end, whose iteration is -1
                run.checkpoints.save_call = {
                    name: ITERATION if name in numbers - {'epoch'} else value for name, value in given.items()
                }
        return save(*args, **kwargs)

    replace(model, 'save', noted, 'how the train loop saves, for a signal')
    if not _takes(signature, run.clock.epoch, run.iteration):
        logger().warning(
            f"multigrid: {type(model).__name__}.save{signature} takes other arguments than BasicSR's: at a signal "
            "nothing is saved before the train loop's own first checkpoint"
        )


def _takes(signature: inspect.Signature, *args: Any) -> bool:
    try:
        signature.bind(*args)
    except TypeError:
        return False
    return True


def _save(run: Run, model: HostModel) -> bool:
    """Save the current iteration, and return whether its training state exists: BasicSR only warns of a failure."""
    signature, call = inspect.signature(model.save), run.checkpoints.save_call
    if call is not None:
        named = {name: run.iteration if value is ITERATION else value for name, value in call.items()}
        bound = inspect.BoundArguments(signature, OrderedDict(named))
        args, kwargs = bound.args, bound.kwargs
    elif _takes(signature, run.clock.epoch, run.iteration):
        args, kwargs = (run.clock.epoch, run.iteration), {}
    else:
        return False
    try:
        model.save(*args, **kwargs)
    except Exception as error:  # of a repository's own method, which may want more than it says
        logger().error(f'multigrid: {type(model).__name__}.save: {type(error).__name__}: {error}')
        return False
    folder = model.opt['path'].get('training_states', '')
    return run.rank > 0 or (Path(folder) / f'{run.iteration}.state').is_file()

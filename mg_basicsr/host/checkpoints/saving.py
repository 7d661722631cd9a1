"""Saving of checkpoints: each file atomically, and the training state with a record that BasicSR does not have.

All repositories save with `torch.save`, many of them outside of BasicSR's classes, so the hook is there.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mg_basicsr._version import __version__
from mg_basicsr.config.option_record import option_record
from mg_basicsr.errors import Problem, TrainingError
from mg_basicsr.host.log import logger
from mg_basicsr.host.run import Run
from mg_basicsr.schedule.record import plan_record
from mg_basicsr.training.checkpoints import networks
from mg_basicsr.training.checkpoints.files import network_iteration, write_hashed
from mg_basicsr.training.checkpoints.resume_point import FORMAT, KEY
from mg_basicsr.training.checkpoints.writer import remove_older

FOLDERS = ('models', 'training_states')  # keys of BasicSR's `path`

Write = Callable[[Any, Any], None]  # torch.save: an object and a file object


def save(run: Run, write: Write, value: Any, file: Any) -> None:
    """Save a value in place of `torch.save` while a run is active: a named file is written atomically.

    A failure for a checkpoint is logged as an error and training continues; for any other file it is raised.

    Args:
        run: The run.
        write: `torch.save`.
        value: Value to save.
        file: Path or file object; a file object is only passed on.
    """
    if not isinstance(file, (str, os.PathLike)):
        write(value, file)
        return
    path = Path(file)
    kind = _kind(run, path)
    try:
        if kind == 'models':
            run.checkpoints.writer.write_network(path, lambda stream: write(value, stream))
        elif kind == 'training_states' and isinstance(value, dict) and 'iter' in value:
            save_state(run, write, value, path)
        else:
            write_hashed(path, lambda stream: write(value, stream))
    except Exception as error:  # of any kind: a run of days must not end because of a full disk
        if kind is None:
            raise
        newest = run.checkpoints.writer.newest
        if kind == 'models' and network_iteration(path) is None:
            run.checkpoints.writer.last_failure = path, reason_of(error)
        logger().error(
            f'multigrid: {path} was not saved: {reason_of(error)}. Training continues; '
            + ('no checkpoint is whole yet' if newest is None else f'the newest whole checkpoint is that of {newest:,}')
        )


def save_state(run: Run, write: Write, state: Mapping[str, Any], path: Path) -> None:
    """Write a training state with this package's record, then remove the pairs that `keep_last` leaves out.

    Args:
        run: The run.
        write: `torch.save`.
        state: BasicSR's state.
        path: File of the state.
    """
    iteration = int(state['iter'])
    run.checkpoints.writer.last_state = (path, state)
    # weights_only of torch before 2.5 refuses Counter, the type of the milestones of MultiStepRestartLR.
    schedulers = [
        {key: dict(value) if isinstance(value, Counter) else value for key, value in scheduler.items()}
        for scheduler in state.get('schedulers', [])
    ]
    record = record_of(run, run.checkpoints.writer.hashes(path, iteration))
    whole = {**state, 'schedulers': schedulers, KEY: record}
    run.checkpoints.writer.write_state(path, iteration, lambda stream: write(whole, stream))
    run.checkpoints.writer.saved_best = record['best_metrics']
    keep = run.settings.block.keep_last
    if keep is not None:
        remove_older(path.parent, Path(run.model.opt['path']['models']), iteration, keep)


def record_of(run: Run, hashes: Mapping[str, str]) -> dict[str, Any]:
    """Return this package's record in a training state: tensors, numbers, text, lists and dictionaries.

    Args:
        run: The run.
        hashes: File name -> SHA-256 of the networks of the state.
    """
    settings = run.settings
    return {
        'format': FORMAT,
        'version': __version__,
        'plan': plan_record(settings.plan, settings.baseline, settings.seed, run.specification.grid),
        'options': option_record(run.file.options, settings.block),
        'data': dict(run.checkpoints.data),
        'networks': dict(hashes),
        'frozen': networks.frozen_parameters(run.model),
        'best_metrics': best_metrics(run.model),
        'parts': {name: state for name, part in run.parts.items() if (state := part.state_dict())},
    }


def check_last_weights(run: Run) -> None:
    """Check that the weights of the end of a training are on the disk. Called when the host has saved them.

    Raises:
        TrainingError: neither the last network nor a checkpoint of the last iteration could be written.
    """
    writer = run.checkpoints.writer
    if writer.last_failure is None or writer.newest == run.plan.total_iter:
        return
    path, reason = writer.last_failure
    newest = 'no checkpoint is whole' if writer.newest is None else f'the newest whole one is that of {writer.newest:,}'
    raise TrainingError(
        Problem(
            str(path),
            f'the weights of the end of the training were not saved: {reason}; {newest}',
            'needed: a folder that can be written to, with space for the networks and the training state',
            'make space, and run the same command with --auto_resume',
        )
    )


def best_metrics(model: Any) -> Any:
    """Return a model's best results by validation set and metric, as plain numbers; None before a validation."""
    return _plain(getattr(model, 'best_metric_results', None))


def after_validation(run: Run, model: Any) -> None:
    """Write the state of this iteration again if a validation has changed the best results.

    BasicSR validates after it has saved.

    Args:
        run: The run.
        model: BasicSR's model.
    """
    import torch

    if run.checkpoints.writer.last_state is None or run.checkpoints.writer.newest != run.iteration:
        return
    path, state = run.checkpoints.writer.last_state
    if int(state['iter']) == run.iteration and best_metrics(model) != run.checkpoints.writer.saved_best:
        torch.save(state, path)  # through the hook, which adds the record


def _kind(run: Run, path: Path) -> str | None:
    """Return the folder of checkpoints (`models` or `training_states`) that a file is in; None for other files."""
    folders = run.model.opt['path'] if run.has_model else {}
    here = path.absolute().parent
    return next((kind for kind in FOLDERS if folders.get(kind) and here == Path(folders[kind]).absolute()), None)


def reason_of(error: Exception) -> str:
    """Return the reason of an error for a message, without the path that an OSError repeats."""
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value.item() if hasattr(value, 'item') else value

"""Loading of checkpoints: no file runs code, and a training state is whole and belongs to the plan.

All repositories load with `torch.load`, many of them outside of BasicSR's classes, so the hook is there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from mg_basicsr.config.resolve import resolve
from mg_basicsr.errors import ConfigError, Problem, TrainingError
from mg_basicsr.host.checkpoints.edits import changes_since
from mg_basicsr.host.checkpoints.weights import is_pretrained
from mg_basicsr.host.entry import experiment
from mg_basicsr.host.known_classes import known_classes
from mg_basicsr.host.run import Run, Specification
from mg_basicsr.host.trial.rehearsal import rehearse_once
from mg_basicsr.schedule.record import plan_changes, plan_record
from mg_basicsr.training.checkpoints.files import STATE, check_archive, is_archive
from mg_basicsr.training.checkpoints.resume_point import ResumePoint, find_resume_point
from mg_basicsr.training.checkpoints.safe_loading import DamagedError, load_safely, name_of

TOLD_CHANGES = 3  # stages that an error about an edited block lists


def load(run: Run, read: Callable[..., Any], file: Any, map_location: Any) -> Any:
    """Load a file in place of `torch.load` while a run is active.

    Args:
        run: The run.
        read: `torch.load`, with `weights_only=True`.
        file: Path or file object.
        map_location: Argument of torch.load; not used for a training state, see `load_state`.

    Raises:
        TrainingError: the file would run code, is damaged, or does not belong to the plan.
    """
    if isinstance(file, (str, os.PathLike)) and _is_state(run, Path(file)):
        return load_state(run, read, Path(file))
    try:
        content = load_safely(file, lambda: read(file, map_location))
        if isinstance(file, (str, os.PathLike)) and is_archive(Path(file)):
            check_archive(Path(file))  # torch compares no sums: it would load changed weights
        return content
    except (DamagedError, OSError) as error:
        option, name = option_of(run, file), name_of(file)
        if isinstance(error, OSError):
            what, remedy = f'cannot be read: {error.strerror or error}', 'correct the path, or download the file'
        else:
            what, remedy = f'damaged or not a checkpoint: {error}', error.remedy
        raise TrainingError(
            Problem(
                option or name,
                f'{name}: {what}' if option else what,
                'needed: a file that torch.save has written',
                remedy,
            )
        ) from None


def option_of(run: Run, file: Any) -> str:
    """Return the dotted path of the option that names a file; empty if none does, or several.

    Args:
        run: The run, whose options are searched.
        file: A path; the result is empty for a file object.
    """
    if not isinstance(file, (str, os.PathLike)):
        return ''
    wanted = os.path.realpath(file)

    def search(section: Any, path: str) -> Iterator[str]:
        for key, value in section.items() if isinstance(section, dict) else ():
            if isinstance(value, str) and os.path.realpath(os.path.expanduser(value)) == wanted:
                yield f'{path}{key}'
            yield from search(value, f'{path}{key}.')

    found = list(search(run.file.options, ''))
    return found[0] if len(found) == 1 else ''


def load_state(run: Run, read: Callable[..., Any], path: Path) -> dict[str, Any]:
    """Return the training state to resume from: that of a file, or an older one if the host has only picked the newest.

    It is loaded into main memory; `load_state_dict` of optimisers copies from there to the device.

    Args:
        run: The run, which records the checkpoint.
        read: `torch.load`, with `weights_only=True`.
        path: File of the state.

    Raises:
        TrainingError: no state is whole, it runs code, or it was saved after the plan's last iteration.
        ConfigError: the plan differs from that of the state, or the rehearsal of the run fails.
    """
    rehearse_once(run)  # nothing is written before it
    if run.specification.auto_resume:  # the state lies in the experiment that the run will go on in
        experiment.lock(run, path.absolute().parent.parent)
    point = find_resume_point(path, lambda file: read(file, 'cpu'), fall_back=not _named_by_user(run, path))
    total = run.plan.total_iter
    specification, notes = run.specification, list[str]()
    if point.record is not None:
        specification, notes = _keep_global_batch(run, point.record['plan']['base_batch_size'])
        _check_plan(specification, point)
        notes += [f'changed since the checkpoint: {change}' for change in changes_since(specification, point)]
    elif point.iteration > total:
        raise TrainingError(
            Problem(
                str(point.path),
                f'saved after iteration {point.iteration:,}, but the plan has {total:,}',
                f'allowed: a state of iteration {total:,} or before',
                _begin_anew(point),
            )
        )
    run.resume_from(point, specification, notes)
    return point.state


def _is_state(run: Run, path: Path) -> bool:
    """Return whether a file is loaded as a training state: by its name or by the option that names it."""
    return (path.suffix == STATE or _named_by_user(run, path)) and not is_pretrained(option_of(run, path))


def _named_by_user(run: Run, path: Path) -> bool:
    """Return whether the user has named this file in the options, so that no other may be used in its place."""
    section = run.file.options.get('path')
    named = section.get('resume_state') if isinstance(section, dict) else None
    same = isinstance(named, str) and os.path.realpath(os.path.expanduser(named)) == os.path.realpath(path)
    return same and not run.specification.auto_resume


def _keep_global_batch(run: Run, clips: int) -> tuple[Specification, list[str]]:
    """Return the specification with the recorded global batch, and lines for the log.

    A block that sets `base_batch_size` keeps its value.

    Raises:
        ConfigError: the recorded batch cannot be divided among the ranks of this run.
    """
    base = run.settings.baseline.clips
    if run.settings.block.base_batch_size is not None or base == clips:
        return run.specification, []
    options = run.file.options
    # The number of ranks may have changed, and with it the batch of the file; the plan must stay the same.
    block = {**options['multigrid'], 'base_batch_size': clips}
    file = replace(run.file, options={**options, 'multigrid': block})
    try:
        settings = resolve(file, run.plan.world_size, known_classes())
    except ConfigError as error:
        problem = error.problems[0]
        raise ConfigError(
            problem._replace(what=f'{problem.what} (the run began with {clips} clips per iteration)')
        ) from None
    note = f'{clips} clips per iteration are kept from the checkpoint (batch_size_per_gpu x ranks: {base})'
    return replace(run.specification, settings=settings), [note]


def _check_plan(run: Specification, point: ResumePoint) -> None:
    assert point.record is not None
    settings = run.settings
    current = plan_record(settings.plan, settings.baseline, settings.seed, run.grid)
    changes = plan_changes(point.record['plan'], current)
    if changes:
        more = f'; and {len(changes) - TOLD_CHANGES} more' if len(changes) > TOLD_CHANGES else ''
        raise ConfigError(
            Problem(
                'multigrid',
                f'not the plan of {point.path}: {"; ".join(changes[:TOLD_CHANGES])}{more}',
                'allowed when resuming: the plan that the run began with, on any number of ranks',
                _begin_anew(point),
            )
        )


def _begin_anew(point: ResumePoint) -> str:
    names = ', '.join(
        f'path.pretrain_{name.removesuffix(f"_{point.iteration}.pth").replace("net_", "network_", 1)}: {file}'
        for name, file in sorted(point.networks.items())
    )
    return f'for a new run from these weights: another name, and {names}'

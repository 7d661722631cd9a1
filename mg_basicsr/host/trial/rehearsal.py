"""Rehearsal of a run before anything is written: everything that the host will do itself, once and small.

Its loggers, loader, prefetcher, model, a step, validation, a save and a load. Whether the shapes of the plan work is
tried later, by `at_start`, with the run's own model.
"""

from __future__ import annotations

import copy
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mg_basicsr.errors import ConfigError, MultigridError, Problem
from mg_basicsr.host.run import Run, Specification, instead_of_active
from mg_basicsr.host.trial.agreement import agree
from mg_basicsr.host.trial.building import try_building
from mg_basicsr.host.trial.no_trace import in_folder, without_trace
from mg_basicsr.host.trial.saving import try_saving
from mg_basicsr.host.trial.train_loop import try_loading, try_loggers, try_step
from mg_basicsr.host.trial.validation import try_validation


def rehearse_once(run: Run) -> None:
    """Rehearse a run that is about to start, the first time that this is called. All ranks must call it.

    Only the first rank rehearses: it validates, logs and saves. The others wait.

    Args:
        run: The run.

    Raises:
        ConfigError: something failed; it holds all problems.
        TrainingError: something failed on the first rank, and this is another.
    """
    if run.rehearsed is not None or not run.specification.in_loop or not run.settings.block.check:
        return
    run.rehearsed, start = 0.0, time.perf_counter()
    error: MultigridError | None = None
    if run.rank == 0 and run.host_options is not None and _are_parsed(run.host_options):
        problems = rehearse(run.specification, run.host_options)
        error = ConfigError(*problems) if problems else None
    agree(run, error)
    run.rehearsed = time.perf_counter() - start


def rehearse(specification: Specification, options: Mapping[str, Any]) -> list[Problem]:
    """Do everything that the host does, once and small, in a folder that is removed again.

    Args:
        specification: Specification of the run.
        options: The host's options, as its parse_options returns them; they are not changed.

    Returns:
        All problems; none if everything works.
    """
    settings = specification.settings
    # compiled parts would be compiled for the trial's frames, which takes minutes
    settings = replace(settings, block=replace(settings.block, compile=False))
    trial = Run(replace(specification, settings=settings, rank=0, auto_resume=False, in_loop=False))
    with without_trace(), tempfile.TemporaryDirectory(prefix='multigrid_') as name:
        folder = Path(name)
        ours = in_folder(_of_new_run(options), folder)
        with instead_of_active(None):
            dataset, found = try_loading(ours)
            found += try_loggers(ours, folder / 'tb_logger')
        with instead_of_active(trial):
            model, problems = try_building(ours)
            found += problems
            if model is not None:
                if dataset is not None:
                    found += try_step(trial, model, dataset, ours)
                found += try_validation(trial, model, ours, folder / 'validation')
                found += try_saving(model, ours)
    return list(dict.fromkeys(found))


def _of_new_run(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of the options without the checkpoint and the networks that a resumed run takes from it."""
    copied: dict[str, Any] = copy.deepcopy(dict(options))
    paths = copied['path']
    if paths.get('resume_state'):
        kept = paths.get('ignore_resume_networks') or ()
        for key in paths:
            if key.startswith('pretrain_network') and key.removeprefix('pretrain_') not in kept:
                paths[key] = None
    paths['resume_state'] = None
    return copied


def _are_parsed(options: Mapping[str, Any]) -> bool:
    """Return whether these are the options that the host trains with, and not a copy that it has left behind."""
    paths = options.get('path')
    return 'is_train' in options and isinstance(paths, Mapping) and 'experiments_root' in paths

"""Starts a run: the options file that a command line names is planned, checked against its data, and made active."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mg_basicsr.config.resolve import Settings, default_world_size, resolve, running_world_size
from mg_basicsr.errors import ConfigError, MultigridError, Problem
from mg_basicsr.host.entry.command_line import CommandLine
from mg_basicsr.host.run import Run, Specification, activate
from mg_basicsr.parsing.options_file import OptionsFile, load_options
from mg_basicsr.patching import refuse_missing

if TYPE_CHECKING:
    from mg_basicsr.data.datasets.clip_dataset import ClipDataset


def start_run(command: CommandLine) -> Run | None:
    """Plan the run that a command line asks for and make it the active one.

    Returns:
        The run, or None where the file has no block: the host then trains without this package, with its arguments
        unchanged.

    Raises:
        ConfigError: the file cannot be planned or cannot be trained on this machine as launched, or the repository
            lacks a method that a plan needs.
        DataError: the data that it names is missing or does not fit the shapes.
    """
    if command.opt is None:
        return None
    file = load_options(command.opt, command.force_yml)
    if not file.has_block:
        return None
    refuse_missing()
    # without a launcher each process is a run of its own, whatever a cluster's job has in its environment
    distributed = command.launcher != 'none'
    if not distributed:
        _refuse_data_parallel(file)
    settings, dataset = resolve_with_data(file, running_world_size() if distributed else 1)
    from mg_basicsr.host.data.grids import run_grid  # imports torch, which a file without a block does not wait for

    rank = int(os.environ.get('RANK') or os.environ.get('SLURM_PROCID') or 0) if distributed else 0
    grid = run_grid(file, settings, dataset)
    run = Run(Specification(file, settings, dataset, rank, grid, command.auto_resume))
    activate(run)
    return run


def resolve_with_data(file: OptionsFile, world_size: int) -> tuple[Settings, ClipDataset | None]:
    """Return the settings, and the data set checked against them; None for a data set that only the host knows.

    Args:
        file: The options file.
        world_size: Ranks of the run.

    Raises:
        ConfigError, DataError: with the problems of the file and of its data set together.
    """
    from mg_basicsr.host.data.check_data import check_data
    from mg_basicsr.host.data.datasets import our_dataset  # these import torch, which `plan` does without

    problems: list[Problem] = []
    settings = dataset = None
    try:
        settings = resolve(file, world_size)
    except ConfigError as error:
        problems += error.problems
    sets = file.options.get('datasets')
    train_set = sets.get('train') if isinstance(sets, dict) else None
    try:
        if isinstance(train_set, dict):
            store, degradation = (settings.block.store, settings.block.degradation) if settings else (None, None)
            dataset = our_dataset(train_set, file.options.get('scale', 1), store, degradation)
    except MultigridError as error:
        reported = {problem.option for problem in problems if problem.option}
        problems += [problem for problem in error.problems if problem.option not in reported]
    if problems or settings is None:
        raise ConfigError(*problems)
    if dataset is not None:
        check_data(dataset, settings)
    return settings, dataset


def _refuse_data_parallel(file: OptionsFile) -> None:
    gpus = default_world_size(file.options)
    if file.options.get('num_gpu') == 'auto':
        import torch

        gpus = torch.cuda.device_count()
    if gpus > 1:
        raise ConfigError(
            Problem(
                'num_gpu',
                f'{gpus} GPUs in one process (DataParallel)',
                'allowed: one process per GPU',
                f'torchrun --nproc_per_node={gpus} -m mg_basicsr train -opt {file.path} --launcher pytorch',
            )
        )

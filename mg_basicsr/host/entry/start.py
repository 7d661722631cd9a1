"""Start of a run: the options file of a command line is planned and checked against its data, and the run activated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mg_basicsr.config.host_classes import POOL_MODELS
from mg_basicsr.config.resolve import default_world_size, running_world_size
from mg_basicsr.config.stray_block import refuse_stray_block
from mg_basicsr.errors import ConfigError, DataError, MultigridError, Problem
from mg_basicsr.host.end_of_process import end_in_order_at_exit
from mg_basicsr.host.entry.command_line import CommandLine
from mg_basicsr.host.entry.launcher import check_environment, check_one_process, rank_of
from mg_basicsr.host.entry.which_basicsr import check_which, imported
from mg_basicsr.host.log import log_at_start
from mg_basicsr.host.run import Run, Specification, activate
from mg_basicsr.parsing.options_file import OptionsFile, load_options
from mg_basicsr.patching import refuse_missing


def start_before_imports(command: CommandLine) -> MultigridError | None:
    """Plan the run of a script that has imported nothing yet, as far as that goes by the names in its options file.

    Args:
        command: The command line.

    Returns:
        None if the run is planned; otherwise its error, where the script may register other classes under these names.
        The run is then planned when the script reads the file.

    Raises:
        ConfigError: see `start_run`; it has nothing to do with the repository's classes.
        DataError: likewise.
    """
    try:
        start_run(command)
    except (ConfigError, DataError) as error:
        if command.opt is None:
            raise
        options = load_options(command.opt, command.force_yml).options
        sure = [problem for problem in error.problems if not _goes_by_names(problem, error, options)]
        if sure:
            raise type(error)(*sure) from None
        return error
    return None


def _goes_by_names(problem: Problem, error: MultigridError, options: Mapping[str, Any]) -> bool:
    """Return whether a problem may be wrong about a class of the repository's own under a name of BasicSR's.

    Args:
        problem: The problem.
        error: Error that it is part of; those of data are all about the data sets.
        options: Options of the file.
    """
    from mg_basicsr.host.data.origin import RELEASED

    datasets = options.get('datasets')
    sections = datasets.values() if isinstance(datasets, Mapping) else ()
    types = {str(section.get('type')) for section in sections if isinstance(section, Mapping)}
    of_sets = isinstance(error, DataError) or problem.option.startswith('datasets.')
    model = options.get('base_model') or options.get('model_type')
    of_model = problem.option in ('model_type', 'base_model') and model in (*POOL_MODELS,)
    return of_model or (of_sets and bool(types & RELEASED.keys()))


def start_run(command: CommandLine, whole: bool = False) -> Run | None:
    """Plan the run that a command line describes, and activate it.

    Args:
        command: The command line.
        whole: Whether BasicSR's own train loop follows, whose options must all be there.

    Returns:
        The run; None if the file has no block: the host then trains without this package, with its arguments unchanged.

    Raises:
        ConfigError: the file cannot be planned or cannot be trained on this machine as launched, or the repository
            lacks a method that a plan needs.
        DataError: the data that it names is missing or does not fit the shapes.
    """
    if command.opt is None:
        return None
    file = load_options(command.opt, command.force_yml)
    if not file.has_block:
        refuse_stray_block(file.options)
        log_at_start(f'multigrid: {file.path} has no multigrid block, so BasicSR trains without a plan')
        return None
    if (basicsr := imported()) is not None:  # by the script; that of others is checked when it is imported
        check_which(basicsr)
    refuse_missing()  # before any data is read: without a required hook, nothing else matters
    if command.launcher == 'none':
        check_one_process()
        _refuse_data_parallel(file)
    from mg_basicsr.host.data.planned_data import resolve_with_data  # imports torch, which other files do without

    rank = rank_of(command.launcher)
    settings, dataset, grid = resolve_with_data(
        file,
        running_world_size(command.launcher),
        rank=rank,
        whole=whole,
        auto_resume=command.auto_resume,
    )
    check_environment(command.launcher)
    run = Run(Specification(file, settings, dataset, rank, grid, command.auto_resume))
    activate(run)
    end_in_order_at_exit(run)
    return run


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

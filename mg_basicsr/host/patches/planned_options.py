"""How the plan reaches the host: the options file is read once, and handed to the host as planned.

All BasicSR-derived repositories read their options with `yaml.load`. While one of them loads the file that `-opt`
names, it gets `--force_yml` applied, the plan's `total_iter`, and no warm-up of its own (the plan has it). The file on
disk, and BasicSR's copy of it in the experiment's folder, stay the user's own.
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from mg_basicsr.config.refusals import FROZEN_PHASES
from mg_basicsr.config.resolve import default_world_size, running_world_size
from mg_basicsr.errors import EXIT_CODE, ConfigError, MultigridError, Problem
from mg_basicsr.host.run import Run, activate, active_run
from mg_basicsr.parsing.options_file import OptionsFile, apply_overrides, load_options


@dataclass(frozen=True)
class CommandLine:
    """What we read from a training script's arguments, and the arguments that are left for the script."""

    opt: Path | None
    launcher: str
    force_yml: tuple[str, ...]
    auto_resume: bool
    rest: tuple[str, ...]


def parse_command_line(argv: Sequence[str]) -> CommandLine:
    """Reads BasicSR's flags from the arguments of any script (the program's name not among them)."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument('-opt', '--opt')
    parser.add_argument('--launcher', default='none')
    parser.add_argument('--force_yml', nargs='+', default=[])
    parser.add_argument('--auto_resume', action='store_true')
    known, _ = parser.parse_known_args(argv)
    rest: list[str] = []
    skipping = False
    for argument in argv:
        joined = argument.startswith('--force_yml=')
        skipping = argument == '--force_yml' or (skipping and not argument.startswith('-'))
        if not skipping and not joined:
            rest.append(argument)
    opt = Path(known.opt) if known.opt else None
    return CommandLine(opt, known.launcher, tuple(known.force_yml), known.auto_resume, tuple(rest))


def prepare(command: CommandLine) -> Run | None:
    """Plans the run that a command line asks for and makes it the active one.

    Returns:
        The run, or None where the file has no block: the host then trains as it is, with its arguments untouched.

    Raises:
        ConfigError: the file cannot be planned, or cannot be trained on this machine as launched.
        DataError: the data that it names is missing or does not fit the shapes.
    """
    if command.opt is None:
        return None
    file = load_options(command.opt, command.force_yml)
    if not file.has_block:
        return None
    # without a launcher each process is a run of its own, whatever a cluster's job has in its environment
    distributed = command.launcher != 'none'
    if not distributed:
        _refuse_data_parallel(file)
    from mg_basicsr.host.data.planned_data import resolve_with_data  # imports torch, which other files do without

    settings, dataset, grid = resolve_with_data(file, running_world_size() if distributed else 1)
    rank = int(os.environ.get('RANK') or os.environ.get('SLURM_PROCID') or 0) if distributed else 0
    run = Run(file, settings, dataset, rank, grid, auto_resume=command.auto_resume)
    activate(run)
    return run


def fail(error: MultigridError) -> NoReturn:
    """Ends the process with what the user has to know: no traceback, exit code 2."""
    print(f'\n{error}', file=sys.stderr, flush=True)
    raise SystemExit(EXIT_CODE) from None


def patch_yaml(yaml: Any) -> None:
    """Wraps `yaml.load` so that the host gets the planned options. Called when yaml has been imported."""
    original = yaml.load
    if getattr(original, '_multigrid', False):
        return

    @functools.wraps(original)
    def load(stream: Any, *args: Any, **kwargs: Any) -> Any:
        # the command line is looked at again for each load: nothing has to be kept in step with it
        command = parse_command_line(sys.argv[1:])
        if not _is_options_file(stream, command.opt):
            return original(stream, *args, **kwargs)
        try:
            run = active_run() or prepare(command)
        except MultigridError as error:
            fail(error)
        options = original(stream, *args, **kwargs)
        if run is None:
            return options
        sys.argv[1:] = list(command.rest)
        return planned_options(options, run)

    load._multigrid = True  # type: ignore[attr-defined]
    yaml.load = load


def planned_options(options: Any, run: Run) -> Any:
    """The host's own loaded options with the plan's numbers in place; the same object."""
    apply_overrides(options, run.file.force_yml)
    options['manual_seed'] = run.settings.seed  # BasicSR draws a new seed on every start if the file has none
    options['train']['total_iter'] = run.plan.total_iter
    options['train']['warmup_iter'] = -1
    if options.get('find_unused_parameters') is None and any(options['train'].get(name) for name in FROZEN_PHASES):
        options['find_unused_parameters'] = True  # DDP would wait for the gradients of what is frozen
    _numbers_in_place_of_text(options['train'])
    return options


def _numbers_in_place_of_text(train: Any) -> None:
    """PyYAML reads `2e-4` as text, which the plan accepts and an optimiser does not."""
    sections = [value for name, value in train.items() if name.startswith('optim_') or name == 'scheduler']
    for section in sections:
        for key in ('lr', 'eta_min'):
            if isinstance(section, dict) and isinstance(section.get(key), str):
                section[key] = float(section[key])


def _is_options_file(stream: Any, opt: Path | None) -> bool:
    """Whether what is being loaded is the file that -opt names: as an open file, or as its text."""
    if opt is None:
        return False
    name = getattr(stream, 'name', None)
    if isinstance(name, str):
        return os.path.exists(name) and opt.exists() and os.path.samefile(name, opt)
    return isinstance(stream, str) and len(stream) > 0 and opt.exists() and stream == opt.read_text(encoding='utf-8')


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

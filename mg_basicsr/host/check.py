"""Check of a run before it starts (`mg-basicsr check`): data, model, every shape, and the time that it will take."""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from mg_basicsr.config.advice import fewer_gpus
from mg_basicsr.config.resolve import Settings, default_world_size
from mg_basicsr.errors import ConfigError, MultigridError, Problem, TrainingError
from mg_basicsr.host.data.datasets import planned_dataset
from mg_basicsr.host.data.planned_data import check_data, resolve_with_data
from mg_basicsr.host.entry.which_basicsr import NOT_INSTALLED
from mg_basicsr.host.install import install
from mg_basicsr.host.log import logger
from mg_basicsr.host.run import Run, Specification, activate
from mg_basicsr.host.timing.comparison import ALL, Comparison, Measured, Parts
from mg_basicsr.host.timing.loading import Dataset, clip_seconds
from mg_basicsr.host.timing.steps import device_name, machine_of, time_shapes
from mg_basicsr.host.trial.blame import REGISTERED, UNREGISTERED, described
from mg_basicsr.host.trial.rehearsal import rehearse
from mg_basicsr.parsing.options_file import OptionsFile
from mg_basicsr.schedule.duration import Machine, Work, baseline_batch, run_hours
from mg_basicsr.schedule.plan import RankBatch
from mg_basicsr.schedule.ways import Way, advice

Show = Callable[[str], None]


@dataclass(frozen=True)
class Figures:
    """Time and memory of one iteration of a shape.

    Attributes:
        compute: Seconds of the training step.
        loading: Seconds that one worker takes to load a rank's clips.
        seconds: Predicted seconds of the iteration, from both.
        peak_mib: Peak memory of the device in MiB; None on a CPU.
    """

    compute: float
    loading: float
    seconds: float
    peak_mib: float | None


@dataclass(frozen=True)
class Report:
    """Result of a check.

    Attributes:
        settings: Settings of the run.
        device: Name of the device.
        figures: Time and memory by shape.
        baseline: Time and memory of an iteration of the file without the block: of stock BasicSR, if that was timed.
        now: The run as the file has it.
        ways: All ways of making the run that were looked at: stock BasicSR, the file, and others.
    """

    settings: Settings
    device: str
    figures: Mapping[RankBatch, Figures]
    baseline: Figures
    now: Way
    ways: tuple[Way, ...]

    @property
    def hours(self) -> dict[str, float]:
        """Hours of the baseline's run and of this one: iterations only, without validation and saving.

        The baseline is the full shape x the base batch x the file's iterations on the same ranks. Where BasicSR itself
        was not timed, it is this package's step of that shape, in passes of the same size, on clips that load as fast
        as those of the full shape do here; BasicSR takes longer than that if a crop store is used here.
        """
        plan, base = self.settings.plan, self.settings.baseline
        return {
            'baseline': base.total_iter * self.baseline.seconds / 3600,
            'multigrid': run_hours(plan, lambda batch: self.figures[batch].seconds),
        }

    @property
    def advice(self) -> str:
        """Change that makes this run shortest, in one sentence; nothing if no other way was timed."""
        return advice(self.now, self.ways) if any(way.change for way in self.ways) else ''


def check(file: OptionsFile, world_size: int | None, show: Show, parts: Parts = ALL) -> Report:
    """Try everything that a run will do.

    Args:
        file: The options file.
        world_size: Ranks of the run, of which one is tried here; by default an integer `num_gpu`, else 1.
        show: Receives the name of each part of the check as it begins.
        parts: Parts that can be chosen.

    Raises:
        ConfigError: the options cannot be used.
        DataError: data is missing, damaged, or does not fit the shapes.
        TrainingError: the model cannot be built, or cannot train a shape.
    """
    by_default = world_size is None
    world_size = default_world_size(file.options) if world_size is None else world_size
    show('options and files')
    settings, dataset, grid = resolve_with_data(file, world_size, whole=True)
    if dataset is not None:
        check_data(dataset, settings, len(dataset.keys.sequences))
    run = Run(Specification(file, settings, dataset, grid=grid, in_loop=False))
    activate(run)  # before the model is built: the hooks on BaseModel look for an active run
    options = _host_options(run)
    for warning in fewer_gpus(file, settings, torch.cuda.device_count()) if by_default else ():
        logger().warning(f'multigrid: {warning}')
    show('validation, loggers, saving and loading')
    if problems := rehearse(run.specification, options):
        raise ConfigError(*problems)
    show('building the model')
    clips = _host_dataset(copy.deepcopy(options), run)
    _build_model(copy.deepcopy(options))  # of a copy, as BasicSR's classes change the options that they are given
    show('reading clips')
    workers = int(options['datasets']['train'].get('num_worker_per_gpu') or 0)
    base = baseline_batch(settings.baseline, world_size, settings.budget)
    loading = clip_seconds(run, clips, base, workers)
    measured = Measured(time_shapes(run, clips, base, show), loading, base, machine_of(run, workers))
    device = device_name(run.model.device)
    comparison = Comparison(run, clips, options, measured, show)
    ways = [comparison.now, *comparison.others(parts)]
    figures = {
        batch: _figures(measured.work(batch), timing.peak_mib, measured.machine)
        for batch, timing in measured.timings.items()
    }
    baseline = figures[base]
    if parts.stock:
        way, times = comparison.stock()
        ways.insert(0, way)
        if times is not None:
            baseline = _figures(times.work, times.peak_mib, measured.machine)
    return Report(settings, device, figures, baseline, comparison.now, tuple(ways))


def _figures(work: Work, peak_mib: float | None, machine: Machine) -> Figures:
    return Figures(*work, machine.seconds(work), peak_mib)


def _host_options(run: Run) -> dict[str, Any]:
    """Return the planned options for one process, as parsed by BasicSR.

    Raises:
        ConfigError: basicsr is not installed, or the options ask for a GPU that this machine lacks.
        ModuleNotFoundError: basicsr itself lacks a module.
    """
    install()
    try:
        from basicsr.utils.options import parse_options
    except ModuleNotFoundError as error:
        if error.name != 'basicsr':
            raise
        raise ConfigError(NOT_INSTALLED) from None
    except ImportError:  # up to 1.2, and in copies of it, it is in the training script
        raise ConfigError(
            Problem(
                '',
                'the basicsr that is imported here reads options in its training script, which `check` does not run',
                'needed: basicsr.utils.options.parse_options, which BasicSR has since 1.3',
                'start the training: `mg-basicsr run path/to/train.py -opt ...` tries everything before it trains',
            )
        ) from None
    arguments = sys.argv  # parse_options reads the command line of the process
    sys.argv = ['check', '-opt', str(run.file.path)]
    try:
        parsed = parse_options(os.getcwd(), is_train=True)
    finally:
        sys.argv = arguments
    options: dict[str, Any] = parsed[0] if isinstance(parsed, tuple) else parsed
    if options['num_gpu'] and not torch.cuda.is_available():
        raise ConfigError(
            Problem(
                'num_gpu',
                f'{options["num_gpu"]}, but torch finds no GPU on this machine',
                'allowed: 0 for the CPU',
                'check on the machine that is to train, or add --force_yml num_gpu=0',
            )
        )
    options['num_gpu'] = min(options['num_gpu'], 1)  # one rank of the run, not DataParallel
    return options


def _host_dataset(options: dict[str, Any], run: Run) -> Dataset:
    from basicsr.data import build_dataset

    built = _built('datasets.train', build_dataset, options['datasets']['train'])
    return planned_dataset(built, run.specification.dataset, run.settings)


def _build_model(options: dict[str, Any]) -> None:
    """Build the model, which the hooks then attach to the run."""
    from basicsr.models import build_model

    _built('model_type, network_g or path', build_model, options)


def _built(option: str, build: Callable[[Any], Any], options: Any) -> Any:
    try:
        return build(options)
    except MultigridError:
        raise
    except Exception as error:
        if UNREGISTERED.search(str(error)):
            raise TrainingError(Problem(option, f'BasicSR cannot build it: {described(error)}', *REGISTERED)) from None
        message = ' '.join(f'{type(error).__name__}: {error}'.split())
        raise TrainingError(
            Problem(option, f'BasicSR cannot build it: {message[:300]}', remedy='correct it: training would fail too')
        ) from None

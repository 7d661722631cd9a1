"""Check of a run before it starts (`mg-basicsr check`): data, model, every shape, and the time that it will take."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import DataLoader

from mg_basicsr.config.resolve import Settings, default_world_size
from mg_basicsr.data.datasets.clip_dataset import ClipDataset
from mg_basicsr.data.loading.batch_dataset import Guarded
from mg_basicsr.data.loading.batches import as_delivered
from mg_basicsr.data.loading.workers import start_worker
from mg_basicsr.data.sampling.request import BatchRequests, SampleRequest
from mg_basicsr.data.sampling.sampler import request_at
from mg_basicsr.errors import ConfigError, MultigridError, Problem, TrainingError
from mg_basicsr.host.data.adapter import AdaptedDataset
from mg_basicsr.host.data.datasets import planned_dataset
from mg_basicsr.host.data.planned_data import check_data, resolve_with_data
from mg_basicsr.host.entry.which_basicsr import NOT_INSTALLED
from mg_basicsr.host.install import install
from mg_basicsr.host.run import Run, Specification, activate
from mg_basicsr.host.trial.passes import check_passes
from mg_basicsr.host.trial.rehearsal import rehearse
from mg_basicsr.host.trial.trials import Trials, arguments_by_name, distinct_batches, in_trial
from mg_basicsr.parsing.options_file import OptionsFile
from mg_basicsr.schedule.duration import baseline_batch, predicted_seconds, run_hours
from mg_basicsr.schedule.plan import RankBatch, Stage
from mg_basicsr.schedule.shape import BatchShape
from mg_basicsr.training.trial.snapshot import on_trial
from mg_basicsr.training.trial.steps import Timing, attempt, time_steps

TIMING_SECONDS = 24.0  # for all shapes together
TIMED_PASSES = 4  # most passes of a step that are timed: the time of more is calculated
TIMED_CLIPS = 4  # clips of every shape whose loading is timed

Dataset = ClipDataset | AdaptedDataset
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
        baseline: Time and memory of an iteration of the file without the block.
    """

    settings: Settings
    device: str
    figures: Mapping[RankBatch, Figures]
    baseline: Figures

    @property
    def hours(self) -> dict[str, float]:
        """Hours of the baseline's run and of this one: iterations only, without validation and saving.

        The baseline is the full shape x the base batch x the file's iterations on the same ranks, in passes of the same
        size. Its clips are assumed to load as fast as those of the full shape do here. The time of BasicSR without this
        package is not measured; it is longer than that if a crop store is used here.
        """
        plan, base = self.settings.plan, self.settings.baseline
        return {
            'baseline': base.total_iter * self.baseline.seconds / 3600,
            'multigrid': run_hours(plan, lambda batch: self.figures[batch].seconds),
        }


def check(file: OptionsFile, world_size: int | None, show: Show) -> Report:
    """Try everything that a run will do.

    Args:
        file: The options file.
        world_size: Ranks of the run, of which one is tried here; by default an integer `num_gpu`, else 1.
        show: Receives the name of each part of the check as it begins.

    Raises:
        ConfigError: the options cannot be used.
        DataError: data is missing, damaged, or does not fit the shapes.
        TrainingError: the model cannot be built, or cannot train a shape.
    """
    world_size = default_world_size(file.options) if world_size is None else world_size
    show('options and files')
    settings, dataset, grid = resolve_with_data(file, world_size, whole=True)
    if dataset is not None:
        check_data(dataset, settings, len(dataset.keys.sequences))
    run = Run(Specification(file, settings, dataset, grid=grid, in_loop=False))
    activate(run)  # before the model is built: the hooks on BaseModel look for an active run
    options = _host_options(run)
    show('validation, loggers, saving and loading')
    if problems := rehearse(run.specification, options):
        raise ConfigError(*problems)
    show('building the model')
    clips = _host_dataset(options, run)
    _build_model(options)
    show('reading clips')
    workers = int(options['datasets']['train'].get('num_worker_per_gpu') or 0)
    base = baseline_batch(settings.baseline, world_size, settings.budget)
    loading = _loading_seconds(run, clips, base, workers)
    timings = _timings(run, clips, base, show)
    figures = {batch: _figures(run, batch, timing, loading, workers) for batch, timing in timings.items()}
    return Report(settings, _device_name(run.model.device), figures, figures[base])


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
        message = ' '.join(f'{type(error).__name__}: {error}'.split())
        raise TrainingError(
            Problem(option, f'BasicSR cannot build it: {message[:300]}', remedy='correct it: training would fail too')
        ) from None


def _loading_seconds(run: Run, dataset: Dataset, base: RankBatch, workers: int) -> dict[tuple[int, int], float]:
    """Measure the seconds per clip of each (frames, GT size), in a worker, or in this process if the run has none.

    The clips are the first of the stages. They are read here for the first time, as in the run.

    Raises:
        DataError: a frame is missing or damaged.
    """
    plan, seed = run.plan, run.settings.seed
    first = {(base.shape.frames, base.shape.size): 0}
    for stage in plan.stages:
        for shape in stage.spec.shapes:
            first.setdefault((shape.frames, shape.size), stage.first_position)

    def request(position: int, frames: int, size: int) -> SampleRequest:
        stride, span = run.specification.grid.limits(BatchShape(1, frames, size))
        clip = {'frames': frames, 'gt_size': size, 'max_stride': stride, 'max_span': span}
        return request_at(position, num_keys=len(dataset), seed=seed, **clip)

    wanted = [(key, request(at + n, *key)) for key, at in first.items() for n in range(TIMED_CLIPS)]
    loader = DataLoader(
        Guarded(dataset, as_float=not run.settings.block.uint8_transfer),
        batch_sampler=[BatchRequests(n, [request]) for n, (_, request) in enumerate((wanted[0], *wanted))],
        num_workers=min(workers, 1),
        collate_fn=as_delivered,
        worker_init_fn=start_worker,
    )
    batches = iter(loader)
    _whole(next(batches))  # not counted: it includes the start of the worker
    seconds: dict[tuple[int, int], float] = {}
    for key, _ in wanted:
        start = time.perf_counter()
        _whole(next(batches))
        seconds[key] = seconds.get(key, 0.0) + (time.perf_counter() - start) / TIMED_CLIPS
    return seconds


def _whole(batch: Any) -> None:
    if isinstance(batch, MultigridError):
        raise batch


def _timings(run: Run, dataset: Dataset, base: RankBatch, show: Show) -> dict[RankBatch, Timing]:
    """Time a step of every shape of the plan, the largest first, and of the baseline's.

    Raises:
        TrainingError: the network fails for a shape.
    """
    shapes: list[tuple[Stage | None, RankBatch]] = [*distinct_batches(run.plan)]
    if base not in [batch for _, batch in shapes]:
        shapes.append((None, base))
    found: dict[RankBatch, Timing] = {}
    arguments = arguments_by_name(run.model)
    check_passes(run, dataset, arguments)
    with on_trial(run.model, run.parts), in_trial(run):
        trials = Trials(run, dataset, arguments, run.model.optimize_parameters)
        for stage, batch in shapes:
            shape = batch.shape
            show(f'{batch.clips_per_rank} clips x {shape.frames} frames x {shape.size} px')
            step = trials.step(batch, TIMED_PASSES)
            timed: list[Timing] = []

            def timing(step: Any = step, timed: list[Timing] = timed) -> None:
                timed.append(time_steps(step, trials.device, TIMING_SECONDS / len(shapes)))

            if failure := attempt(timing, trials.device):
                raise trials.error(stage, batch, failure)
            passes = max(1.0, batch.accumulate / TIMED_PASSES)  # those that were not timed take as long
            found[batch] = timed[0]._replace(seconds=timed[0].seconds * passes)
    return found


def _figures(
    run: Run, batch: RankBatch, timing: Timing, loading: Mapping[tuple[int, int], float], workers: int
) -> Figures:
    per_clip = loading[batch.shape.frames, batch.shape.size]
    clips = batch.clips_per_rank * batch.accumulate
    on_gpu = torch.device(run.model.device).type == 'cuda'
    seconds = predicted_seconds(
        timing.seconds,
        per_clip * clips,
        workers=workers,
        cores=len(os.sched_getaffinity(0)),
        ranks=min(run.plan.world_size, torch.cuda.device_count()) if on_gpu else run.plan.world_size,
        threads=1 if on_gpu else torch.get_num_threads(),
    )
    return Figures(timing.seconds, per_clip * clips, seconds, timing.peak_mib)


def _device_name(device: Any) -> str:
    if torch.device(device).type == 'cuda':
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f'CPU, {threads} thread{"s" * (threads > 1)}'

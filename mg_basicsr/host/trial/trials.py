"""Trial steps with the host's own model: its feed_data, its optimize_parameters, clips of the run's dataset."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

import torch
from torch.utils.data import default_collate

from mg_basicsr.data.datasets.clip_dataset import ClipDataset
from mg_basicsr.data.sampling.sampler import request_at
from mg_basicsr.errors import Problem, TrainingError
from mg_basicsr.host.data.adapter import AdaptedDataset
from mg_basicsr.host.data.delivery import ITERATION
from mg_basicsr.host.data.loader import PlannedBatch, to_device
from mg_basicsr.host.log import logger
from mg_basicsr.host.run import Run
from mg_basicsr.host.trial.diagnosis import Diagnosis
from mg_basicsr.schedule.plan import Plan, RankBatch, Stage
from mg_basicsr.schedule.shape import BatchShape
from mg_basicsr.training.extension import TrainStep
from mg_basicsr.training.host_model import HostModel, feed_for_training
from mg_basicsr.training.step_arguments import with_batch
from mg_basicsr.training.trial.snapshot import Snapshot
from mg_basicsr.training.trial.steps import Failure, Step, attempt

LOGGERS = ('tb_logger', 'logger', 'writer')  # names of parameters of optimize_parameters
BATCHES = ('train_data', 'data', 'batch')

# 1-based iteration -> arguments of optimize_parameters
Arguments = Callable[[int], tuple[tuple[Any, ...], dict[str, Any]]]


@contextmanager
def in_trial(run: Run) -> Iterator[None]:
    """Enter the trial contexts of all extensions of a run."""
    with ExitStack() as stack:
        for extension in run.extensions:
            stack.enter_context(extension.trial())
        yield


def warn_of_traces(trial: Snapshot) -> None:
    """Log what steps on trial may have changed for good."""
    if trial.lost:
        kinds = ', '.join(sorted(trial.lost))
        logger().warning(
            f'multigrid: steps on trial have changed what cannot be put back ({kinds} among the objects of the model): '
            'training begins with it in its present state. multigrid.check: false leaves out the trial of shapes'
        )


def distinct_batches(plan: Plan) -> list[tuple[Stage, RankBatch]]:
    """Return every shape of the plan once, with the first stage that has it: the largest pass first."""
    found: dict[RankBatch, Stage] = {}
    for stage in plan.stages:
        for batch in stage.batches:
            found.setdefault(batch, stage)
    return sorted(((stage, batch) for batch, stage in found.items()), key=lambda item: -_pixels_of_pass(item[1]))


def _pixels_of_pass(batch: RankBatch) -> int:
    return batch.shape.pixels // batch.shape.clips * batch.clips_per_rank


class Trials:
    """Maker of trial steps of any shape, to be used inside `on_trial` and `in_trial`.

    Args:
        run: The run, its model built.
        dataset: Dataset of the clips.
        arguments: Arguments of the training step.
        call: The training step, with the extensions to be tried.
    """

    def __init__(self, run: Run, dataset: ClipDataset | AdaptedDataset, arguments: Arguments, call: TrainStep) -> None:
        self.run = run
        self.device = torch.device(run.model.device)
        self._arguments = arguments
        self._call = call
        # An adapted dataset may change while it is read, but trial steps must leave no trace in the run's.
        self._dataset = dataset if isinstance(dataset, ClipDataset) else dataset.copies()()
        self._clip = cache(self._read)

    def step(self, batch: RankBatch, most_passes: int) -> Step:
        """Return a training step of a shape.

        Memory on the device for the clips of passes that are left out is allocated too. The iteration is the run's
        last, so that parts of the network that are frozen at the beginning are trained.

        Args:
            batch: The shape.
            most_passes: Most passes of the step, >= 1; a shape with more is tried with these.
        """
        model, shape = self.run.model, batch.shape
        passes = min(batch.accumulate, most_passes)
        clips = default_collate([self._clip(shape.frames, shape.size)] * (batch.clips_per_rank * passes))
        args, kwargs = self._arguments(self.run.plan.total_iter)

        def step() -> None:
            fed = PlannedBatch(to_device(clips, self.device), passes)
            rest = (batch.accumulate - passes) * batch.clips_per_rank
            aside = [tensor.new_empty(rest, *tensor.shape[1:]) for tensor in fed.values() if torch.is_tensor(tensor)]
            feed_for_training(model)(fed)
            on_it, by_name = with_batch(args, kwargs, fed)
            self._call(*on_it, **by_name)
            del aside

        return step

    def clips(self, count: int, frames: int, size: int) -> list[dict[str, Any]]:
        """Return samples of a shape, from different places of the set.

        Args:
            count: Number of samples, >= 1.
            frames: Frames of a clip.
            size: Edge of the GT crop in pixels.
        """
        return [self._read(frames, size, position) for position in range(count)]

    def takes(self, clips: int, frames: int, size: int) -> bool:
        """Return whether one pass of a shape works.

        Args:
            clips: Clips of the pass on one rank, >= 1.
            frames: Frames of a clip.
            size: Edge of the GT crop in pixels.
        """
        single = RankBatch(BatchShape(clips * self.run.plan.world_size, frames, size), clips, 1)
        return attempt(self.step(single, 1), self.device) is None

    def error(self, stage: Stage | None, batch: RankBatch, failure: Failure) -> TrainingError:
        """Return the error for a shape that failed, with the remedy.

        Args:
            stage: First stage with the shape; None for the file without the block.
            batch: The shape.
            failure: The failure.
        """
        return TrainingError(Diagnosis(self.run.settings, stage, batch, self.takes).problem(failure))

    def _read(self, frames: int, size: int, position: int = 0) -> dict[str, Any]:
        seed = self.run.settings.seed
        return self._dataset[request_at(position, num_keys=len(self._dataset), seed=seed, frames=frames, gt_size=size)]


def arguments_as_called(current: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
    """Return the arguments of a train loop's own call, for any iteration.

    Args:
        current: 1-based iteration of the call; every argument that equals it is replaced.
        args: Positional arguments of the call.
        kwargs: Keyword arguments of the call.
    """

    def at(iteration: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
        def other(value: Any) -> Any:
            return iteration if type(value) is int and value == current else value

        return tuple(map(other, args)), {name: other(value) for name, value in kwargs.items()}

    return at


def arguments_by_name(model: HostModel) -> Arguments:
    """Return arguments by the names of parameters, without a train loop.

    Known are the iteration, a gradient scaler, a logger (None), and the mini-batch (that of the step on trial).

    Raises:
        TrainingError: the model's step has another parameter.
    """
    _, *parameters = inspect.signature(type(model).optimize_parameters).parameters.values()
    needed = [p.name for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    given: dict[str, Any] = dict.fromkeys(LOGGERS) | {name: {'lq': torch.empty(0)} for name in BATCHES}
    if 'scaler' in needed:
        given['scaler'] = _scaler(model)
    unknown = [name for name in needed if name not in given and name not in ITERATION]
    if unknown:
        raise TrainingError(
            Problem(
                'model_type',
                f'optimize_parameters of {type(model).__name__} wants {", ".join(unknown)}',
                'known here: current_iter, scaler, tb_logger, train_data',
                'train it: every shape is tried at the start of training too',
            )
        )
    return lambda iteration: (tuple(given.get(name, iteration) for name in needed), {})


def _scaler(model: HostModel) -> Any:
    on_gpu = torch.device(model.device).type == 'cuda'
    if hasattr(torch.amp, 'GradScaler'):
        return torch.amp.GradScaler('cuda', enabled=on_gpu)
    return torch.cuda.amp.GradScaler(enabled=on_gpu)  # torch < 2.3

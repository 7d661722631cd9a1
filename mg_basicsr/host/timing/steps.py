"""Seconds and memory of a training step of every shape, timed on the run's own model."""

from __future__ import annotations

from collections.abc import Callable

import torch

from mg_basicsr.host.run import Run
from mg_basicsr.host.timing.loading import Dataset, cores
from mg_basicsr.host.trial.passes import check_passes
from mg_basicsr.host.trial.trials import Trials, arguments_by_name, distinct_batches, in_trial
from mg_basicsr.schedule.duration import Machine
from mg_basicsr.schedule.plan import RankBatch, Stage
from mg_basicsr.training.trial.snapshot import on_trial
from mg_basicsr.training.trial.steps import Step, Timing, attempt, time_steps

TIMING_SECONDS = 24.0  # for all shapes together
TIMED_PASSES = 4  # most passes of a step that are timed: the time of more is calculated

Show = Callable[[str], None]


def time_shapes(run: Run, dataset: Dataset, base: RankBatch, show: Show) -> dict[RankBatch, Timing]:
    """Time a step of every shape of the plan, the largest first, and of the baseline's.

    Args:
        run: The run, its model built.
        dataset: Dataset of the clips.
        base: Mini-batch of the file without the block.
        show: Receives the shape that is timed.

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
        for number, (stage, batch) in enumerate(shapes, 1):
            shape = batch.shape
            clips = f'{batch.clips_per_rank} clips x {shape.frames} frames x {shape.size} px'
            show(f'shape {number} of {len(shapes)}: {clips}')
            step = trials.step(batch, TIMED_PASSES)
            timed: list[Timing] = []

            def timing(step: Step = step, timed: list[Timing] = timed) -> None:
                timed.append(time_steps(step, trials.device, TIMING_SECONDS / len(shapes)))

            if failure := attempt(timing, trials.device):
                raise trials.error(stage, batch, failure)
            passes = max(1.0, batch.accumulate / TIMED_PASSES)  # those that were not timed take as long
            found[batch] = timed[0]._replace(seconds=timed[0].seconds * passes)
    return found


def machine_of(run: Run, workers: int) -> Machine:
    """Return the machine that this process is on, as a run's rank has it.

    Args:
        run: The run, its model built.
        workers: Worker processes per rank.
    """
    if torch.device(run.model.device).type == 'cuda':
        return Machine(workers, cores(), min(run.plan.world_size, torch.cuda.device_count()))
    return Machine(workers, cores(), run.plan.world_size, torch.get_num_threads())


def device_name(device: object) -> str:
    """Return the name of a model's device, with the number of threads of a CPU."""
    found = torch.device(device)  # type: ignore[call-overload]
    if found.type == 'cuda':
        return torch.cuda.get_device_name(found)
    threads = torch.get_num_threads()
    return f'CPU, {threads} thread{"s" * (threads > 1)}'

"""Extension: where the plan takes a step in several passes, their gradient is compared with that of one pass."""

from __future__ import annotations

import functools
from typing import Any

from mg_basicsr.errors import MultigridError, Problem, TrainingError
from mg_basicsr.host.data.loader import PlannedBatch, to_device
from mg_basicsr.host.log import logger
from mg_basicsr.host.run import Run
from mg_basicsr.host.trial.agreement import agree
from mg_basicsr.host.trial.trials import Arguments, Trials, arguments_as_called, in_trial, warn_of_traces
from mg_basicsr.training.extension import Extension, TrainStep
from mg_basicsr.training.micro_batches import REMEDY, MicroBatches, known_reduction, losses_of
from mg_basicsr.training.step_arguments import Batch, with_batch
from mg_basicsr.training.trial.loss_reduction import unlike_reduction
from mg_basicsr.training.trial.passes import Measured, measure_passes
from mg_basicsr.training.trial.snapshot import on_trial


class PassesAtStart(Extension):
    """Measure before the first step of a process, with `check: false` too: nothing else would show the difference.

    Args:
        run: The run, which has `MicroBatches`.
    """

    name = 'passes_at_start'

    def __init__(self, run: Run) -> None:
        self.run = run

    def around(self, call: TrainStep) -> TrainStep:
        """Measure with the arguments of the first training step."""
        measured = False

        @functools.wraps(call)
        def step(*args: Any, **kwargs: Any) -> Any:
            nonlocal measured
            if not measured:
                measured = True
                arguments = arguments_as_called(self.run.iteration, args, kwargs)
                error: MultigridError | None = None
                try:
                    with self.run.watch.pause('trial'):
                        check_passes(self.run, self.run.loader.dataset, arguments, args, kwargs)
                except MultigridError as found:
                    error = found
                agree(self.run, error)
            return call(*args, **kwargs)

        return step


def check_passes(run: Run, dataset: Any, arguments: Arguments, *kept: Any) -> None:
    """Measure whether steps in several passes are exact, and how the passes' gradients are put together.

    Nothing is done for a run whose steps are all taken in one pass.

    Args:
        run: The run, its model built.
        dataset: Dataset of the clips.
        arguments: Arguments of the training step.
        kept: Objects in these arguments, to be restored as well.

    Raises:
        TrainingError: the gradients differ, or it cannot be known how to put them together.
    """
    micro = next((extension for extension in run.extensions if isinstance(extension, MicroBatches)), None)
    if micro is None:
        return
    batches = run.plan.batches
    shape = min((batch.shape for batch in batches), key=lambda shape: shape.pixels // shape.clips)
    # no fewer than a pass has, so that a network without a batch of one is served
    clips = 2 * min(2, *(batch.clips_per_rank for batch in batches if batch.accumulate > 1))
    with on_trial(run.model, run.parts, *kept) as trial, in_trial(run):
        trials = Trials(run, dataset, arguments, micro.step)
        fed: Batch = {}

        def as_fed(batch: Batch, parts: int) -> Batch:
            nonlocal fed
            fed = PlannedBatch(dict(batch), parts)
            return fed

        def step_at(iteration: int) -> Any:
            args, kwargs = with_batch(*arguments(iteration), fed)
            return functools.partial(micro.step, *args, **kwargs)

        found = measure_passes(
            run.model,
            micro,
            [to_device(clip, 'cpu') for clip in trials.clips(clips, shape.frames, shape.size)],
            as_fed,
            step_at,
            run.plan.total_iter,
        )
    warn_of_traces(trial)
    judge(run, micro, found)


def judge(run: Run, micro: MicroBatches, found: Measured) -> None:
    """Set how passes are put together, as measured; or as all losses say and were tried to do, with a warning.

    Args:
        run: The run, its model built.
        micro: The model's extension for several passes.
        found: The measurement.

    Raises:
        TrainingError: steps in several passes are not exact, or not known to be.
    """
    name = type(run.model).__name__
    if found.changed:
        raise TrainingError(
            Problem(
                'model_type',
                f'{name} cannot take a step in several passes: its step changes gradients between the backward pass '
                'and the optimiser, as clipping does, in each pass by itself',
                'allowed: one pass per step for this model',
                REMEDY,
            )
        )
    if found.unknown:
        read = known_reduction(run.model)
        with on_trial(run.model, run.parts):
            unlike = unlike_reduction(losses_of(run.model), read, run.model.device) if read else ''
        if read and not unlike:
            logger().warning(
                f'multigrid: steps in several passes could not be compared with one pass ({found.unknown}); all losses '
                f'take the {read} over the batch, as was tried'
            )
            return
        raise TrainingError(
            Problem(
                'model_type',
                f'{name}: a step in several passes is not known to be exact: it could not be compared with one pass '
                f'({found.unknown}), and {unlike or "its losses do not say how they reduce over the batch"}',
                'allowed: one pass per step for this model',
                REMEDY,
            )
        )
    if found.difference > found.tolerance:
        raise TrainingError(
            Problem(
                'model_type',
                f'{name} cannot take a step in several passes: the gradient of the same clips in two passes differs '
                f'from one pass by {found.difference:.1e} (relative; rounding: at most {found.tolerance:.0e})',
                'allowed: one pass per step for this model, or losses that all take the mean over the batch, clip by '
                'clip',
                REMEDY,
            )
        )
    micro.mean = found.mean
    logger().info(
        f'multigrid: gradients of several passes are those of one ({"mean" if found.mean else "sum"} over the batch, '
        f'difference {found.difference:.0e})'
    )

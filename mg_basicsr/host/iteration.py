"""Beginning of an iteration: clock, seeds and rates, all functions of its number, wherever the train loop says so.

BasicSR's loop calls `update_learning_rate` between fetching a mini-batch and feeding it. Others call it after the step,
or never: there an iteration begins when its mini-batch is fed, or stepped on. The number of an iteration is that of its
mini-batch; a loop that counts otherwise is refused, since its checkpoints would be labelled with other numbers.
"""

from __future__ import annotations

from mg_basicsr.data.sampling.permutation import mix
from mg_basicsr.errors import Problem, TrainingError
from mg_basicsr.host import stopping
from mg_basicsr.host.announcing import announce_plan, stage_line
from mg_basicsr.host.log import logger
from mg_basicsr.host.run import Run
from mg_basicsr.training.host_model import HostModel
from mg_basicsr.training.seeding import seed_everything

_TRAINING = 3  # stream of random numbers of a training step; the sampler has streams 1 and 2


def rates_updated(run: Run, model: HostModel, current_iter: int) -> None:
    """Begin an iteration at the loop's call of `update_learning_rate`, unless that follows the step.

    Args:
        run: The run.
        model: BasicSR's model.
        current_iter: Iteration of the loop, 1-based as in BasicSR.

    Raises:
        TrainingError: the train loop has made no prefetcher, or counts iterations in another way.
    """
    delivered, trained = run.loader.delivered, run.clock.trained
    if delivered is None or current_iter < 1 or current_iter not in (delivered + 1, trained, trained + 1):
        raise TrainingError(other_number(f'calls update_learning_rate({current_iter})', delivered))
    if trained == run.iteration:  # else a step is due, and the weights are those of the iteration before
        stopping.between_steps(run, model)
    if trained < current_iter:
        begin_iteration(run, current_iter)


def begin_if_due(run: Run, model: HostModel) -> None:
    """Begin the iteration of the mini-batch that the train loop has, if it has not begun.

    Args:
        run: The run, its loader made.
        model: BasicSR's model.
    """
    if run.loader.delivered == run.iteration == run.clock.trained:
        stopping.between_steps(run, model)
        begin_iteration(run, run.iteration + 1)


def begin_iteration(run: Run, current_iter: int) -> None:
    """Set clock, seeds and rates of an iteration. Called before the batch is fed; again, it sets seeds and rates only.

    Args:
        run: The run.
        current_iter: Iteration, 1-based as in BasicSR.

    Raises:
        TrainingError: the train loop has made no prefetcher, so that its mini-batches are not the plan's.
    """
    _ = run.loader  # raises where there is none: then the batches would have the host's shapes, and no step may be made
    step = run.plan(current_iter - 1)
    if current_iter != run.iteration:
        if current_iter == 1:
            announce_plan(run, current_iter)
        run.clock.iteration = current_iter
        run.watch.begin(step)
        if step.iteration == step.stage.start:
            logger().info(stage_line(run, step.stage))
    # By iteration and rank: a resumed run draws the same numbers, and ranks draw different ones.
    seed_everything(mix(run.settings.seed, _TRAINING, step.iteration, run.rank))
    for extension in run.extensions:
        extension.before_step(step)


def other_number(what: str, delivered: int | None) -> Problem:
    """Return the problem of a train loop whose calls do not belong to the mini-batch that it has.

    Args:
        what: What the loop does.
        delivered: 0-based iteration of the mini-batch; None if there is none of the plan.
    """
    batch = 'no mini-batch of the plan' if delivered is None else f'the mini-batch of iteration {delivered + 1:,}'
    return Problem(
        '',
        f'the train loop {what} with {batch}',
        'needed: iterations counted from 1, and for each one prefetcher.next(), feed_data and optimize_parameters of '
        'the model',
        'change the order of these calls in the train loop, or remove the multigrid block',
    )

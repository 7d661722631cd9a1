"""The wrapper around any BasicSR model: what the plan does to it at each point of the train loop.

No class is derived and no signature is assumed: `hooks.py` calls these functions from BaseModel's methods.
"""

from __future__ import annotations

from typing import Any

from mg_basicsr.data.sampling.permutation import mix
from mg_basicsr.host.acceleration import accelerate, settle_optimizers
from mg_basicsr.host.log import logger
from mg_basicsr.host.norm import add_sub_batch_norm, divide_batch_norm
from mg_basicsr.host.precision import use_precision
from mg_basicsr.host.run import Run
from mg_basicsr.host.trial.at_start import check_before_first_step
from mg_basicsr.schedule.plan import Stage, Step
from mg_basicsr.training.micro_batches import MicroBatches
from mg_basicsr.training.seeding import seed_everything

_TRAINING = 3  # the stream of random numbers that a training step uses, beside those of the sampler


def adopt(run: Run, model: Any) -> None:
    """The model has its optimisers. Called by setup_schedulers.

    Raises:
        TrainingError: the plan needs several passes per step, and the model cannot be divided so; its precision cannot
            be reduced; or an option that speeds up steps cannot be had on this machine.
    """
    for optimizer in model.optimizers:
        for group in optimizer.param_groups:
            group.setdefault('initial_lr', group['lr'])
    if any(batch.accumulate > 1 for stage in run.plan.stages for batch in stage.batches):
        MicroBatches(model)
    use_precision(run, model)
    add_sub_batch_norm(run, model)
    accelerate(run, model)  # last: what is compiled is what the others have made of the networks
    if run.settings.block.check:
        check_before_first_step(run, model)
    run.model = model


def begin_iteration(run: Run, model: Any, current_iter: int) -> None:
    """Clock, seeds and rates of an iteration, all functions of its number. Called before the batch is fed.

    Args:
        run: The run.
        model: BasicSR's model.
        current_iter: 1-based, as BasicSR counts.
    """
    if current_iter == 1:
        announce_plan(run, current_iter)
    run.iteration = current_iter
    step = run.plan(current_iter - 1)
    if step.iteration == step.stage.start:
        logger().info(stage_line(run, step.stage))
    seed_everything(mix(run.settings.seed, _TRAINING, step.iteration, run.rank))
    set_rates(model, step)
    divide_batch_norm(run, step.stage)


def set_rates(model: Any, step: Step) -> None:
    """Each parameter group's rate, from its own initial rate: flow_lr_mul and a second optimiser's rate are kept."""
    for optimizer in model.optimizers:
        for group in optimizer.param_groups:
            group['lr'] = step.rate(group['initial_lr'])


def resume(run: Run, model: Any, state: Any) -> None:
    """The clocks of a resumed run, ours and the host's, and its optimisers in the form that this run works with."""
    settle_optimizers(run, model)
    run.iteration, run.epoch = int(state['iter']), int(state.get('epoch', 0))
    if run.iteration < run.plan.total_iter:
        announce_plan(run, run.iteration + 1)
    else:
        logger().info(f'multigrid: all {run.plan.total_iter:,} iterations were trained already: nothing is left to do')


def place_schedulers(model: Any, current_iter: int) -> None:
    """Puts the host's schedulers, which are not stepped, where BasicSR expects them in a state of this iteration."""
    for scheduler in model.schedulers:
        scheduler.last_epoch = max(current_iter - 1, 0)


class LogValue(float):
    """A number for TensorBoard that reads as text in the log line."""

    text: str

    def __new__(cls, value: float, text: str) -> LogValue:
        self = super().__new__(cls, value)
        self.text = text
        return self

    def __format__(self, spec: str) -> str:
        return self.text


def with_shape(run: Run, log: Any) -> dict[str, Any]:
    """The log of an iteration with its stage and shape (clips x frames x GT size; in TensorBoard as numbers)."""
    step = run.step
    shape = step.shape
    number = step.stage.index + 1
    return {
        **(log or {}),
        'stage': LogValue(number, f'{number}/{len(run.plan.stages)}'),
        'clips': LogValue(shape.clips, str(shape.clips)),
        'frames': LogValue(shape.frames, str(shape.frames)),
        'gt_size': LogValue(shape.size, str(shape.size)),
    }


def stage_line(run: Run, stage: Stage) -> str:
    """One line about a stage that begins."""
    base = run.settings.baseline
    first, last = run.plan(stage.start), run.plan(stage.stop - 1)
    passes = f' (in {stage.batch.accumulate} passes)' if stage.batch.accumulate > 1 else ''
    short = ', '.join(f'{shape.clips} x {shape.frames} x {shape.size} px' for shape in stage.spec.shapes[:-1])
    return (
        f'multigrid stage {stage.index + 1}/{len(run.plan.stages)}: iterations {stage.start + 1:,} to {stage.stop:,}, '
        f'{stage.shape.clips} clips{passes} x {stage.shape.frames} frames x {stage.shape.size} px '
        f'(LQ {stage.shape.size // base.scale}){f" in turn with {short}" if short else ""}, '
        f'lr {first.rate(base.lr):.3e} to {last.rate(base.lr):.3e}'
    )


def announce_plan(run: Run, current_iter: int) -> None:
    """The plan's outline, at the start of a run and after a resume."""
    step = run.plan(current_iter - 1)
    overrides = f', --force_yml {" ".join(run.file.force_yml)}' if run.file.force_yml else ''
    logger().info(
        f'multigrid: preset {run.settings.block.preset}, {len(run.plan.stages)} stages, '
        f'{run.plan.total_iter:,} iterations, warm-up {run.plan.warmup_iter:,}{overrides}'
    )
    if step.iteration != step.stage.start:
        logger().info(f'multigrid: continuing in {stage_line(run, step.stage).removeprefix("multigrid ")}')

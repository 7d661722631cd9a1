"""Log lines about the plan: its outline, each stage that begins, and the shape of each iteration."""

from __future__ import annotations

from typing import Any

from mg_basicsr.host.log import logger
from mg_basicsr.host.run import Run
from mg_basicsr.schedule.plan import Stage


class LogValue(float):
    """Number for TensorBoard that is formatted as a text in the log line.

    Attributes:
        text: The text.
    """

    text: str

    def __new__(cls, value: float, text: str) -> LogValue:
        """Make a number with its text; a float takes its value here, not in `__init__`."""
        self = super().__new__(cls, value)
        self.text = text
        return self

    def __format__(self, spec: str) -> str:
        return self.text


def with_shape(run: Run, log: Any) -> dict[str, Any]:
    """Return the log of an iteration with its stage and shape.

    Args:
        run: The run.
        log: BasicSR's log of the iteration, by name; None for an empty one.

    Returns:
        The log with `stage`, `clips`, `frames` and `gt_size`, and on the first rank the progress within the stage and
        clips per second, as text in the log file and as numbers in TensorBoard.
    """
    step = run.step
    shape = step.shape
    number = step.stage.index + 1
    return {
        **(log or {}),
        'stage': LogValue(number, f'{number}/{len(run.plan.stages)}'),
        'clips': LogValue(shape.clips, str(shape.clips)),
        'frames': LogValue(shape.frames, str(shape.frames)),
        'gt_size': LogValue(shape.size, str(shape.size)),
        **run.watch.values(),
    }


def stage_line(run: Run, stage: Stage) -> str:
    """Return one line about a stage that begins.

    Args:
        run: The run.
        stage: The stage.
    """
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
    """Log the outline of the plan, at the start of a run and after a resume.

    Args:
        run: The run.
        current_iter: The iteration that comes next, 1-based.
    """
    step = run.plan(current_iter - 1)
    overrides = f', --force_yml {" ".join(run.file.force_yml)}' if run.file.force_yml else ''
    logger().info(
        f'multigrid: preset {run.settings.block.preset}, {len(run.plan.stages)} stages, '
        f'{run.plan.total_iter:,} iterations, warm-up {run.plan.warmup_iter:,}{overrides}'
    )
    if step.iteration != step.stage.start:
        logger().info(f'multigrid: continuing in {stage_line(run, step.stage).removeprefix("multigrid ")}')

"""Options that may speed up a training step, each timed against the step as the file has it, in turns."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any, NamedTuple

import torch

from mg_basicsr.config.block import Block
from mg_basicsr.host.run import Run, instead_of_active
from mg_basicsr.host.timing.loading import Dataset
from mg_basicsr.host.timing.reasons import reason_of
from mg_basicsr.host.trial.blame import HOST_ERRORS
from mg_basicsr.host.trial.no_trace import without_trace
from mg_basicsr.host.trial.train_loop import builder
from mg_basicsr.host.trial.trials import Trials, arguments_by_name, in_trial
from mg_basicsr.schedule.plan import RankBatch
from mg_basicsr.schedule.shape import BatchShape
from mg_basicsr.training.trial.snapshot import on_trial
from mg_basicsr.training.trial.steps import Step, attempt, compare_steps

OPTION_SECONDS = 4.0  # for each option


class Change(NamedTuple):
    """Change of one key of the block.

    Attributes:
        key: The key.
        value: Its other value.
    """

    key: str
    value: bool | str

    @property
    def text(self) -> str:
        """Option as in the file."""
        value = str(self.value).lower() if isinstance(self.value, bool) else self.value
        return f'multigrid.{self.key}: {value}'


def changes_to_try(block: Block, on_gpu: bool, reduced: bool, compile: bool) -> list[Change]:
    """Return the changes of a block that may speed up a step on this machine; what is on already is tried off.

    Not among them: options that change all models of a process (`tf32`, `cudnn_benchmark`), which cannot be timed in
    turns.

    Args:
        block: The block.
        on_gpu: Whether the model is on a GPU.
        reduced: Whether the device computes in bfloat16.
        compile: Whether to compile, which takes minutes.
    """
    found = [Change(key, not getattr(block, key)) for key in ('fused_optimizer', 'channels_last')]
    if on_gpu and reduced and block.precision == 'float32':
        found.append(Change('precision', 'bfloat16'))
    if compile and not block.compile:
        found.append(Change('compile', True))
    return found


def step_ratio(run: Run, dataset: Dataset, options: dict[str, Any], batch: RankBatch, change: Change) -> float | str:
    """Return the seconds of a step with a change, relative to those without it; or why it is not possible.

    Args:
        run: The run, its model built.
        dataset: Dataset of the clips.
        options: The host's options; they are not changed.
        batch: The mini-batch, of which one pass is timed.
        change: The change.
    """
    settings = run.settings
    values: dict[str, Any] = {change.key: change.value}
    changed = replace(settings, block=replace(settings.block, **values))
    other = Run(replace(run.specification, settings=changed))
    build = builder('models', 'model')
    assert build is not None  # the run's own model is built already
    shape, world_size = batch.shape, run.plan.world_size
    one_pass = RankBatch(
        BatchShape(batch.clips_per_rank * world_size, shape.frames, shape.size), batch.clips_per_rank, 1
    )
    device = torch.device(run.model.device)
    with without_trace(), instead_of_active(other):
        try:
            build(copy.deepcopy(options))
            ratios: list[float] = []
            with on_trial(run.model, run.parts), in_trial(run), on_trial(other.model, other.parts), in_trial(other):
                first, second = (_step(each, dataset, one_pass) for each in (run, other))

                def compare() -> None:
                    ratios.append(compare_steps(first, second, device, OPTION_SECONDS))

                failure = attempt(compare, device)
            return failure.message if failure else ratios[0]
        except HOST_ERRORS as error:  # of any kind: it is the host's own code
            return reason_of(error)
        finally:
            other.end()


def _step(run: Run, dataset: Dataset, batch: RankBatch) -> Step:
    model = run.model
    return Trials(run, dataset, arguments_by_name(model), model.optimize_parameters).step(batch, 1)

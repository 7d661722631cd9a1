"""Sub-batch norm in the networks that a BasicSR model trains, as the plan's stages divide its mini-batches."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from mg_basicsr.host.log import logger
from mg_basicsr.host.run import Run
from mg_basicsr.schedule.plan import Stage
from mg_basicsr.schedule.sub_batches import SubBatches, sub_batches
from mg_basicsr.training.batch_norm.rank_statistics import neighbours
from mg_basicsr.training.batch_norm.sub_batches import SubBatchNorm

PART = 'sub_batch_norm'


class PlannedNorm(SubBatchNorm):
    """Sub-batch norm that follows the stages of a plan. All ranks make one together.

    Args:
        run: The run.
        networks: The networks that are trained, by name.
    """

    def __init__(self, run: Run, networks: dict[str, nn.Module]) -> None:
        super().__init__(networks)
        size, plan = run.settings.sub_batch_norm, run.plan
        self.stages = [sub_batches(stage, size, plan.world_size) for stage in plan.stages]
        sharing = sorted({stage.ranks for stage in self.stages}) if self.layers else []
        self.groups = {ranks: neighbours(ranks) for ranks in sharing}

    def follow(self, stage: Stage) -> None:
        """The mini-batches that follow are those of this stage."""
        now = self.stages[stage.index]
        self.divide(now.parts, self.groups[now.ranks])

    def __str__(self) -> str:
        networks = ', '.join(sorted({name.partition('.')[0] for name in self.layers}))
        by_stage = ', '.join(_shown(stage) for stage in self.stages)
        return f'{len(self.layers)} batch norm layers of {networks} over sub-batches; clips of one by stage: {by_stage}'


def _shown(stage: SubBatches) -> str:
    return f'{stage.clips} (of {stage.ranks} ranks)' if stage.ranks > 1 else f'{stage.clips}'


def add_sub_batch_norm(run: Run, model: Any) -> None:
    """Puts sub-batch norm into the model's networks that have batch norm, where the settings ask for it."""
    if not run.settings.sub_batch_norm:
        return
    norm = PlannedNorm(run, trained_networks(model))
    if norm.layers:
        run.parts[PART] = norm
        logger().info(f'multigrid: {norm}')


def divide_batch_norm(run: Run, stage: Stage) -> None:
    """Called before each iteration: the division is a function of its stage."""
    if PART in run.parts:
        run.parts[PART].follow(stage)


def whole_batches(run: Run) -> None:
    """Batch norm over whole mini-batches, within the rank: for steps on trial, in which ranks exchange nothing."""
    if PART in run.parts:
        run.parts[PART].divide(1)


def trained_networks(model: Any) -> dict[str, nn.Module]:
    """The networks that an optimiser updates, by attribute name: no moving averages, no networks of losses."""
    updated = {
        id(parameter)
        for optimizer in model.optimizers
        for group in optimizer.param_groups
        for parameter in group['params']
    }
    return {
        name: value.module if isinstance(value, (DataParallel, DistributedDataParallel)) else value
        for name, value in vars(model).items()
        if isinstance(value, nn.Module) and any(id(parameter) in updated for parameter in value.parameters())
    }

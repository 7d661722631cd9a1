"""Extension that gives the trained networks sub-batch norm, with the sub-batches of the plan's stages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mg_basicsr.schedule.plan import Plan, Step
from mg_basicsr.schedule.sub_batches import SubBatches, sub_batches
from mg_basicsr.training.batch_norm.rank_statistics import neighbours
from mg_basicsr.training.batch_norm.sub_batches import SubBatchNorm
from mg_basicsr.training.extension import Extension
from mg_basicsr.training.host_model import HostModel, trained_networks


class PlannedNorm(Extension):
    """Extension that divides the batch norm of the trained networks by stage. All ranks attach theirs together.

    Args:
        plan: The plan.
        size: Clips of a standard sub-batch, >= 1.
    """

    name = 'sub_batch_norm'

    def __init__(self, plan: Plan, size: int) -> None:
        self.stages = [sub_batches(stage, size, plan.world_size) for stage in plan.stages]
        self.norm = SubBatchNorm({})
        self.groups: dict[int, Any] = {}

    def attach(self, model: HostModel) -> list[str]:
        """Replace the forward of the batch norm layers, and form the groups of ranks; see `Extension.attach`."""
        self.norm = SubBatchNorm(trained_networks(model))
        layers = self.norm.layers
        if not layers:
            return []
        # All groups now, in one order: each rank has to take part in making every group.
        self.groups = {ranks: neighbours(ranks) for ranks in sorted({stage.ranks for stage in self.stages})}
        networks = ', '.join(sorted({name.partition('.')[0] for name in layers}))
        by_stage = ', '.join(_shown(stage) for stage in self.stages)
        return [f'{len(layers)} batch norm layers of {networks} over sub-batches; clips of one by stage: {by_stage}']

    def before_step(self, step: Step) -> None:
        """Divide mini-batches by the step's stage."""
        if self.norm.layers:
            now = self.stages[step.stage.index]
            self.norm.divide(now.parts, self.groups[now.ranks])

    @contextmanager
    def trial(self) -> Iterator[None]:
        """Normalise over whole mini-batches, within the rank; see `Extension.trial`."""
        if self.norm.layers:
            self.norm.divide(1)
        yield

    def state_dict(self) -> dict[str, Any] | None:
        """Return the statistics of the sub-batches; None for networks without batch norm."""
        return self.norm.state_dict() if self.norm.layers else None

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load the statistics; see `SubBatchNorm.load_state_dict`."""
        self.norm.load_state_dict(state)


def _shown(stage: SubBatches) -> str:
    return f'{stage.clips} (of {stage.ranks} ranks)' if stage.ranks > 1 else f'{stage.clips}'

"""The run that this process trains: its settings, its rank, and the model's clock. The hooks ask here what to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mg_basicsr.config.build import Settings
from mg_basicsr.config.options_file import OptionsFile
from mg_basicsr.schedule.grid import OFF, Grid
from mg_basicsr.schedule.plan import Plan, Step

if TYPE_CHECKING:
    from mg_basicsr.data.clips import ClipDataset


@dataclass
class Run:
    """A run under a plan.

    Attributes:
        file: The options file, `--force_yml` applied.
        settings: What it asks for.
        dataset: Our data set, opened and checked; None where the host's own is adapted.
        rank: This process.
        grid: What its clips may span.
        iteration: Iterations begun, as the train loop or a resumed state last told the model. Set, not counted.
        model: The host's model, once it is built.
        parts: What must be in a checkpoint beside the host's own state, by name: objects with `state_dict()` and
            `load_state_dict(state)`, whose states are made of tensors, numbers, text, lists and dictionaries.
    """

    file: OptionsFile
    settings: Settings
    dataset: ClipDataset | None = None
    rank: int = 0
    grid: Grid = OFF
    iteration: int = 0
    model: Any = None
    parts: dict[str, Any] = field(default_factory=dict)

    @property
    def plan(self) -> Plan:
        return self.settings.plan

    @property
    def step(self) -> Step:
        """The step of the current iteration (of the first, before training)."""
        return self.plan(min(max(self.iteration - 1, 0), self.plan.total_iter - 1))


_active: Run | None = None


def activate(run: Run | None) -> None:
    """Makes a run the one that this process trains; None: train as BasicSR does."""
    global _active
    _active = run


def active_run() -> Run | None:
    return _active

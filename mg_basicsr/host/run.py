"""The run that this process trains: its settings, its rank, and the model's clock. The hooks ask here what to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mg_basicsr.config.resolve import Settings
from mg_basicsr.host.stopping import StopSignals
from mg_basicsr.parsing.options_file import OptionsFile
from mg_basicsr.schedule.grid import OFF, Grid
from mg_basicsr.schedule.plan import Plan, Step
from mg_basicsr.training.checkpoints.resume_point import ResumePoint
from mg_basicsr.training.checkpoints.writer import CheckpointWriter

if TYPE_CHECKING:
    from mg_basicsr.data.datasets.clip_dataset import ClipDataset


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
        epoch: The host's, as a resumed state last told it: the plan is one endless epoch.
        model: The host's model, once it is built.
        loader: Our loader, once the train loop has made its prefetcher.
        stop: Signals that ask the run to end.
        auto_resume: Whether the command line asks for the newest checkpoint.
        resume_point: The checkpoint that the host resumes from, once it has loaded one.
        writer: Writes the checkpoints.
        notes: What is to be told once the host's log is open.
        parts: What must be in a checkpoint beside the host's own state, by name: objects with `state_dict()` and
            `load_state_dict(state)`, whose states are made of tensors, numbers, text, lists and dictionaries.
    """

    file: OptionsFile
    settings: Settings
    dataset: ClipDataset | None = None
    rank: int = 0
    grid: Grid = OFF
    iteration: int = 0
    epoch: int = 0
    model: Any = None
    loader: Any = None
    stop: StopSignals = field(default_factory=StopSignals)
    auto_resume: bool = False
    resume_point: ResumePoint | None = None
    writer: CheckpointWriter = field(default_factory=CheckpointWriter)
    notes: list[str] = field(default_factory=list)
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
    if _active is not None:
        _active.stop.put_back()
    _active = run


def active_run() -> Run | None:
    return _active

"""The run that this process trains: what it is, and how far it is. The hooks ask here what to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from mg_basicsr.config.resolve import Settings
from mg_basicsr.errors import Problem, TrainingError
from mg_basicsr.parsing.options_file import OptionsFile
from mg_basicsr.schedule.grid import OFF, Grid
from mg_basicsr.schedule.plan import Plan, Step
from mg_basicsr.training.checkpoints.resume_point import ResumePoint
from mg_basicsr.training.checkpoints.writer import CheckpointWriter
from mg_basicsr.training.extension import Extension, stateful
from mg_basicsr.training.host_model import HostModel
from mg_basicsr.training.stop_signals import StopSignals

if TYPE_CHECKING:
    from mg_basicsr.data.datasets.clip_dataset import ClipDataset


class Delivery(Protocol):
    """Loader of planned mini-batches, as far as a run knows it.

    Attributes:
        dataset: What it reads.
        delivered: The 0-based iteration whose mini-batch the train loop has got last; None before the first.
    """

    dataset: Any
    delivered: int | None


@dataclass(frozen=True)
class Specification:
    """What a run is: all that is known before the host has read its options.

    Attributes:
        file: The options file, `--force_yml` applied.
        settings: What it asks for.
        dataset: Our data set, opened and checked; None where the host's own is adapted.
        rank: This process.
        grid: What clips may span.
        auto_resume: Whether the command line asks for the newest checkpoint.
        in_loop: Whether a train loop makes its steps; otherwise they are all on trial.
    """

    file: OptionsFile
    settings: Settings
    dataset: ClipDataset | None = None
    rank: int = 0
    grid: Grid = OFF
    auto_resume: bool = False
    in_loop: bool = True


@dataclass
class Clock:
    """Position of a run, as the train loop or a resumed state last reported it. Set, not counted.

    Attributes:
        iteration: Iterations begun.
        epoch: The host's; the plan is one endless epoch.
    """

    iteration: int = 0
    epoch: int = 0


@dataclass
class Checkpoints:
    """Checkpoints of a run.

    Attributes:
        writer: Writes them.
        resume_point: The one that the host resumes from, once it has loaded one.
        notes: What the log says about it, once it is open.
    """

    writer: CheckpointWriter = field(default_factory=CheckpointWriter)
    resume_point: ResumePoint | None = None
    notes: list[str] = field(default_factory=list)


class Run:
    """A run under a plan.

    Attributes:
        specification: What it is. Only `resume_from` may replace it, before there is a model.
        clock: Where it is.
        checkpoints: What it saves and resumes from.
        extensions: What changes its training steps, in order; empty until the model is built.
        stop: Signals that ask it to end.
    """

    def __init__(self, specification: Specification) -> None:
        self.specification = specification
        self.clock = Clock()
        self.checkpoints = Checkpoints()
        self.extensions: list[Extension] = []
        self.stop = StopSignals()
        self._model: HostModel | None = None
        self._loader: Delivery | None = None

    @property
    def file(self) -> OptionsFile:
        return self.specification.file

    @property
    def settings(self) -> Settings:
        return self.specification.settings

    @property
    def plan(self) -> Plan:
        return self.specification.settings.plan

    @property
    def rank(self) -> int:
        return self.specification.rank

    @property
    def iteration(self) -> int:
        """Iterations begun."""
        return self.clock.iteration

    @property
    def step(self) -> Step:
        """The step of the current iteration (of the first, before training)."""
        return self.plan(min(max(self.iteration - 1, 0), self.plan.total_iter - 1))

    @property
    def model(self) -> HostModel:
        """The host's model.

        Raises:
            RuntimeError: it is not built yet.
        """
        if self._model is None:
            raise RuntimeError('the run has no model yet')
        return self._model

    @property
    def parts(self) -> dict[str, Extension]:
        """What is in a checkpoint beside the host's own state: the extensions that have a state, by name."""
        return stateful(self.extensions)

    @property
    def has_model(self) -> bool:
        return self._model is not None

    def adopt(self, model: HostModel, extensions: list[Extension]) -> None:
        """Take the host's model, which these extensions have been attached to."""
        self._model, self.extensions = model, extensions

    @property
    def loader(self) -> Delivery:
        """The loader of planned mini-batches.

        Raises:
            TrainingError: the train loop has made no prefetcher, so that its mini-batches are not the plan's.
        """
        if self._loader is None:
            raise TrainingError(
                Problem(
                    '',
                    'the train loop has made no prefetcher of BasicSR, so its mini-batches are not those of the plan',
                    'needed: basicsr.data.prefetch_dataloader.CPUPrefetcher or CUDAPrefetcher around the loader',
                    'use one, as the train.py of BasicSR does, or remove the multigrid block',
                )
            )
        return self._loader

    def deliver_with(self, loader: Delivery) -> None:
        """Take the loader that a prefetcher has been made with."""
        self._loader = loader

    def resume_from(self, point: ResumePoint, specification: Specification, notes: list[str]) -> None:
        """Note the checkpoint that the host has loaded; the run is continued as it was begun.

        Args:
            point: The checkpoint.
            specification: The run's, or one with the recorded global batch on another number of ranks.
            notes: What the log says about it.
        """
        self.specification = specification
        self.checkpoints.resume_point = point
        self.checkpoints.notes += notes


_active: Run | None = None


def activate(run: Run | None) -> None:
    """Make a run the one that this process trains; None: train as BasicSR does."""
    global _active
    if _active is not None:
        _active.stop.put_back()
    _active = run


def active_run() -> Run | None:
    """Return the run that this process trains under a plan, if any."""
    return _active

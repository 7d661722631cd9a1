"""State of the run that this process trains. The hooks look here for the active run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from mg_basicsr.config.resolve import Settings
from mg_basicsr.errors import Problem, TrainingError
from mg_basicsr.host.progress.watch import Watch
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
        batch: That mini-batch.
    """

    dataset: Any
    delivered: int | None
    batch: Any

    def end(self) -> None:
        """End the workers."""


@dataclass(frozen=True)
class Specification:
    """Specification of a run: everything that is known before the host has read its options.

    Attributes:
        file: The options file, `--force_yml` applied.
        settings: The resolved options file.
        dataset: This package's dataset, opened and checked; None if the host's own is adapted.
        rank: Rank of this process, 0 <= rank < plan.world_size.
        grid: Strides and spans of clips.
        auto_resume: Whether the command line asks for the newest checkpoint.
        in_loop: Whether a train loop makes the steps; otherwise all of them are trial steps.
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
        trained: Iterations whose training step has been made.
        epoch: Epoch of the host; the plan is one endless epoch.
    """

    iteration: int = 0
    trained: int = 0
    epoch: int = 0


@dataclass
class Checkpoints:
    """Checkpoints of a run.

    Attributes:
        writer: Writer of checkpoints.
        resume_point: Checkpoint that the host resumes from; None before it has loaded one.
        notes: Lines about it, to be logged once the log file is open.
        data: Record of the training set, see `identity.data_record`; empty before there is a loader.
        save_call: Arguments of the train loop's last call of the model's `save`, by name; None before one.
    """

    writer: CheckpointWriter = field(default_factory=CheckpointWriter)
    resume_point: ResumePoint | None = None
    notes: list[str] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)
    save_call: dict[str, Any] | None = None


class Run:
    """Run under a plan.

    Attributes:
        specification: Specification. Only `resume_from` may replace it, before there is a model.
        clock: Position.
        checkpoints: Checkpoints that it writes and resumes from.
        extensions: Extensions of its training step, in order; empty until the model is built.
        stop: Signals that ask it to end.
        watch: Observer of its progress; one that does nothing until the model is built, and on other ranks.
        validation_sets: Known data sets of the host for validation.
        host_options: The host's options, as it has loaded them and completes them; None before that.
        rehearsed: Seconds of the rehearsal; None before it.
    """

    def __init__(self, specification: Specification) -> None:
        self.specification = specification
        self.clock = Clock()
        self.checkpoints = Checkpoints()
        self.extensions: list[Extension] = []
        self.stop = StopSignals()
        self.watch = Watch()
        self.validation_sets: list[Any] = []
        self.host_options: dict[str, Any] | None = None
        self.rehearsed: float | None = None
        self._model: HostModel | None = None
        self._loader: Delivery | None = None

    @property
    def file(self) -> OptionsFile:
        """Options file of the run."""
        return self.specification.file

    @property
    def settings(self) -> Settings:
        """Settings of the run."""
        return self.specification.settings

    @property
    def plan(self) -> Plan:
        """Plan of the run."""
        return self.specification.settings.plan

    @property
    def rank(self) -> int:
        """Rank of this process."""
        return self.specification.rank

    @property
    def iteration(self) -> int:
        """Iterations begun."""
        return self.clock.iteration

    @property
    def step(self) -> Step:
        """Step of the current iteration (of the first, before training)."""
        return self.plan(min(max(self.iteration - 1, 0), self.plan.total_iter - 1))

    @property
    def model(self) -> HostModel:
        """Model of the host.

        Raises:
            RuntimeError: the model is not built yet.
        """
        if self._model is None:
            raise RuntimeError('the run has no model yet')
        return self._model

    @property
    def parts(self) -> dict[str, Extension]:
        """Extensions that have a state in checkpoints, by name."""
        return stateful(self.extensions)

    @property
    def has_model(self) -> bool:
        """Whether the model is built."""
        return self._model is not None

    def adopt(self, model: HostModel, extensions: list[Extension]) -> None:
        """Set the host's model.

        Args:
            model: The model.
            extensions: The extensions that have been attached to it.
        """
        self._model, self.extensions = model, extensions

    @property
    def loader(self) -> Delivery:
        """Loader of planned mini-batches.

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

    @property
    def has_loader(self) -> bool:
        """Whether there is a loader of planned mini-batches."""
        return self._loader is not None

    def deliver_with(self, loader: Delivery) -> None:
        """Set the loader that a prefetcher iterates over."""
        self._loader = loader

    def end(self) -> None:
        """End the workers, and release the model and its extensions."""
        if self._loader is not None:
            self._loader.end()
        self._model, self._loader, self.extensions = None, None, []

    def resume_from(self, point: ResumePoint, specification: Specification, notes: list[str]) -> None:
        """Record the checkpoint that the host has loaded, and continue with its global batch.

        Args:
            point: The checkpoint.
            specification: Specification of the run, or one with the recorded global batch on another number of ranks.
            notes: Lines about it for the log.
        """
        self.specification = specification
        self.checkpoints.resume_point = point
        self.checkpoints.notes += notes


_active: Run | None = None
_aside = 0  # contexts of instead_of_active that are open


def activate(run: Run | None) -> None:
    """Make a run the active one, whose plan this process trains; with None, BasicSR trains without a plan."""
    global _active
    if _active is not None:
        _active.stop.put_back()  # its handlers would record signals that nobody looks at
    _active = run


@contextmanager
def instead_of_active(run: Run | None) -> Iterator[None]:
    """Return a context in which another run is the active one, or none, while the active run is only set aside."""
    global _active, _aside
    kept, _active = _active, run
    _aside += 1
    try:
        yield
    finally:
        _active = kept
        _aside -= 1


def is_set_aside() -> bool:
    """Return whether another run is in the place of the active one."""
    return _aside > 0


def active_run() -> Run | None:
    """Return the active run; None without a plan."""
    return _active

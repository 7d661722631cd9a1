"""Base class of presets: the keys of a block, and the rules that turn them into the stages of a run.

A preset is one object in one module. It is added to the package by a line in table.py, or from outside by `register`
or an entry point; nothing else in the package knows its name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from mg_basicsr.config.block import Block
from mg_basicsr.config.needs import Needs
from mg_basicsr.config.own_schedule import OwnSchedule
from mg_basicsr.parsing.problems import Problems
from mg_basicsr.schedule.baseline import Baseline
from mg_basicsr.schedule.grid import Grid
from mg_basicsr.schedule.plan import StageSpec
from mg_basicsr.schedule.shape import BatchShape

B = TypeVar('B', bound=Block)


class ClipsOption(NamedTuple):
    """Option from which the clips of a shape follow, for errors.

    Attributes:
        path: Dotted path of the option.
        clips: Clips per step that follow from it, all ranks together.
        is_value: Whether `clips` is the option's value; otherwise it is computed from it.
    """

    path: str
    clips: int
    is_value: bool = True


class Suggestion(NamedTuple):
    """Key that `convert` writes.

    Attributes:
        key: Name of the key.
        value: Its value, as in YAML.
        why: Reason, in a few words: the comment behind it.
    """

    key: str
    value: Any
    why: str


class Preset(ABC, Generic[B]):
    """Schedule that a block names. One instance per preset, without state.

    A preset must define `specs`; the defaults of the other methods suit a preset whose shapes are never above the
    file's own and which makes its own rates.

    Attributes:
        name: Value of `multigrid.preset`.
        summary: Description in one line.
        block: Class of its blocks, a subclass of `Block` with the preset's own keys.
    """

    name: str
    summary: str
    block: type[B]

    @abstractmethod
    def specs(self, block: B, base: Baseline, problems: Problems) -> list[StageSpec]:
        """Return the stages of a block.

        Args:
            block: The block; each value is valid by itself.
            base: The run that the file describes without the block.
            problems: Collection to which values that do not fit the file or each other are added. The stages are then
                checked as well, so that all problems are reported at once, but not used.

        Returns:
            At least one stage; one without iterations is an error of the file, which the caller reports.
        """

    def warmup_iter(self, own: int, total: int) -> int:
        """Return the default iterations of warm-up of a block: the file's; without one, those of lin2022.

        Args:
            own: `train.warmup_iter` of the file; -1 or 0 for none.
            total: Iterations of the plan.
        """
        return own if own > 0 else min(5000, total // 15)

    def max_clips(self, block: B, base: Baseline) -> int:
        """Return the default of the most clips of the full shape in one pass on one rank: the file's clips per rank.

        Args:
            block: The block.
            base: The run that the file describes.
        """
        return base.clips_per_rank

    def grid(self, base: Baseline) -> Grid:
        """Return the default sampling grid: consecutive frames, crops that are not resampled."""
        return Grid(base.frames, base.size)

    def clips_option(self, block: B, stage: int, shape: BatchShape) -> ClipsOption:
        """Return the option from which the clips of a shape follow.

        Args:
            block: The block.
            stage: 0-based number of the shape's stage.
            shape: The shape.
        """
        return ClipsOption('multigrid.base_batch_size', block.base_batch_size or shape.clips)

    def suggest(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the keys that `convert` writes below `preset`, with values for a file without the block.

        Raises:
            ConfigError: the file lacks options from which the values follow.
        """
        return {}

    def adopt(self, schedule: OwnSchedule) -> dict[str, Any] | None:
        """Return the keys that make the schedule that a file has itself; None if this preset has no such keys."""
        return None

    def suit(self, needs: Needs, base: Baseline) -> list[Suggestion]:
        """Return the keys by which a block of this preset suits the networks of a file, for `convert`.

        Args:
            needs: What the networks take.
            base: The run that the file describes.
        """
        return []

    def advise_size(self, block: B, stage: int, lq_size: int, base: Baseline) -> str:
        """Return the change of a block that makes no LQ crop smaller than a size.

        Args:
            block: The block.
            stage: 0-based number of the stage that failed.
            lq_size: Smallest LQ size in pixels that works with the network, at most the full size.
            base: The run that the file describes.
        """
        return f'plan no size below {lq_size}'

    def advise_frames(self, block: B, stage: int, frames: int, base: Baseline) -> str:
        """Return the change of a block that makes no clip shorter than a number of frames.

        Args:
            block: The block.
            stage: 0-based number of the stage that failed.
            frames: Shortest clip that works with the network, at most the full length.
            base: The run that the file describes.
        """
        return f'plan no clip below {frames} frames'

    def advise_smaller(self, block: B, stage: int) -> str:
        """Return the change of a block that makes a shape above the file's own smaller.

        Args:
            block: The block.
            stage: 0-based number of the shape's stage.
        """
        return f'plan a smaller shape in stage {stage + 1}'

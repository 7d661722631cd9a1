"""What a preset is: the keys of its block, and the rules that turn them into the stages of a run.

A preset is one object in one module. It is added to the package by a line in table.py, or from outside by `register`
or an entry point; nothing else in the package knows its name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from mg_basicsr.config.block import Block
from mg_basicsr.parsing.problems import Problems
from mg_basicsr.schedule.baseline import Baseline
from mg_basicsr.schedule.grid import Grid
from mg_basicsr.schedule.plan import StageSpec
from mg_basicsr.schedule.shape import BatchShape

B = TypeVar('B', bound=Block)


class ClipsOption(NamedTuple):
    """The option that the clips of a shape come from, for errors.

    Attributes:
        path: Its dotted path.
        clips: Clips per step that it asks for, all ranks together.
        is_value: Its value is this number; otherwise it is a number that gives this one.
    """

    path: str
    clips: int
    is_value: bool = True


class Preset(ABC, Generic[B]):
    """A schedule that a block asks for by name. One instance per preset; it has no state.

    `specs` is all that a preset must have; the other methods have the answers of a preset whose shapes are never above
    the file's own and whose rate is made by the preset.

    Attributes:
        name: Value of `multigrid.preset`.
        summary: What it does, in a line.
        block: The class of its blocks, a subclass of `Block` with the preset's own keys.
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
            problems: Where values that do not fit the file or each other are added. The stages are then checked as
                well, so that all problems are reported at once, but not used.

        Returns:
            At least one stage; one without iterations is an error of the file, which the caller reports.
        """

    def warmup_iter(self, own: int, total: int) -> int:
        """Return the iterations of warm-up where the block does not say: the file's, else as lin2022 has it.

        Args:
            own: `train.warmup_iter` of the file; -1 or 0 for none.
            total: Iterations of the plan.
        """
        return own if own > 0 else min(5000, total // 15)

    def max_clips(self, block: B, base: Baseline) -> int:
        """Return the most clips of the full shape in one pass on one rank where the block does not say: the file's.

        Args:
            block: The block.
            base: The run that the file describes.
        """
        return base.clips_per_rank

    def grid(self, base: Baseline) -> Grid:
        """Return the sampling grid where the block does not say: consecutive frames, crops that are not resampled."""
        return Grid(base.frames, base.size)

    def clips_option(self, block: B, stage: int, shape: BatchShape) -> ClipsOption:
        """Return the option that the clips of a shape come from.

        Args:
            block: The block.
            stage: 0-based number of the shape's stage.
            shape: The shape.
        """
        return ClipsOption('multigrid.base_batch_size', block.base_batch_size or shape.clips)

    def suggest(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the keys that `convert` writes below `preset`, with values that suit a file without the block.

        Raises:
            ConfigError: the file lacks what they are made from.
        """
        return {}

    def advise_size(self, block: B, stage: int, lq_size: int, base: Baseline) -> str:
        """Return what to change in a block so that no LQ crop is smaller than the network takes.

        Args:
            block: The block.
            stage: 0-based number of the stage that was refused.
            lq_size: Smallest LQ size in pixels that the network takes, at most the full size.
            base: The file's own shape.
        """
        return f'plan no size below {lq_size}'

    def advise_frames(self, block: B, stage: int, frames: int, base: Baseline) -> str:
        """Return what to change in a block so that no clip is shorter than the network takes.

        Args:
            block: The block.
            stage: 0-based number of the stage that was refused.
            frames: Shortest clip that the network takes, at most the full length.
            base: The file's own shape.
        """
        return f'plan no clip below {frames} frames'

    def advise_smaller(self, block: B, stage: int) -> str:
        """Return what to change in a block where a shape above the file's own is too large.

        Args:
            block: The block.
            stage: 0-based number of the shape's stage.
        """
        return f'plan a smaller shape in stage {stage + 1}'

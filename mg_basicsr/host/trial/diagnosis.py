"""Diagnosis of a shape that a network fails for: other shapes are tried, to find the option to change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mg_basicsr.config.presets.cycles import CycleBlock
from mg_basicsr.config.presets.table import preset_of
from mg_basicsr.config.resolve import Settings
from mg_basicsr.errors import Problem
from mg_basicsr.schedule.plan import RankBatch, Stage, divisors
from mg_basicsr.training.trial.steps import Failure

# (clips of a pass on one rank, frames, GT size) -> whether a step with them works
Takes = Callable[[int, int, int], bool]

MULTIPLES = (8, 16, 32, 64)  # LQ sizes that windows and pyramids of networks are made for
LQ_STEP = CycleBlock.lq_multiple  # between the LQ sizes that are tried, if the block does not round to a multiple
LARGER_MACHINE = 'or a smaller network, or a machine with more memory'


@dataclass(frozen=True)
class Diagnosis:
    """Diagnosis of one failed step.

    Attributes:
        settings: Settings of the run.
        stage: First stage with the shape; None for the file without the block.
        batch: The shape that failed.
        takes: Tries another shape.
    """

    settings: Settings
    stage: Stage | None
    batch: RankBatch
    takes: Takes

    def problem(self, failure: Failure) -> Problem:
        """Return the problem: stage, shape, the message of the failure, and the option to change."""
        shape, base = self.batch.shape, self.settings.baseline
        name = f'stage {self.stage.index + 1}' if self.stage else 'the file without the block'
        what = (
            f'{self.batch.clips_per_rank} clips x {shape.frames} frames x {shape.size} px '
            f'(LQ {shape.size // base.scale}) on one rank: {failure.message}'
        )
        if failure.final:
            return Problem(name, what, 'the device no longer responds, so no other shape was tried', 'look at its log')
        return Problem(name, what, *(self._memory() if failure.out_of_memory else self._refusal()))

    def _memory(self) -> tuple[str, str]:
        """Return finding and remedy if memory ran out: the largest `max_clips` whose passes fit."""
        shape, base = self.batch.shape, self.settings.baseline
        share = self.batch.clips_per_rank * self.batch.accumulate
        for most in _halves(self.settings.max_clips):
            budget = most * base.frames * base.size**2
            clips = max(d for d in divisors(share) if d == 1 or d * shape.frames * shape.size**2 <= budget)
            if clips < self.batch.clips_per_rank and self.takes(clips, shape.frames, shape.size):
                return (
                    f'out of memory; {clips} of these clips fit',
                    f'set multigrid.max_clips: {most} (the same batch in more passes)',
                )
        if self._above_baseline:
            return 'out of memory; a single clip does not fit', f'{self._smaller_top_stage}, {LARGER_MACHINE}'
        return (
            'out of memory; a single clip does not fit',
            f'set a smaller datasets.train.gt_size or num_frame, {LARGER_MACHINE}',
        )

    def _refusal(self) -> tuple[str, str]:
        """Return finding and remedy for any other failure, from the full shape of the file and shapes in between."""
        shape, base = self.batch.shape, self.settings.baseline
        # The file's own shape first: if it fails, no option of the block is the cause.
        if not self.takes(1, base.frames, base.size):
            return (
                "the file's own shape fails too, so the multigrid block is not the cause",
                'correct the network, the losses or the data set: BasicSR would fail as well',
            )
        if self._above_baseline:
            return 'the shape of the file itself works', self._smaller_top_stage
        by_size = shape.size != base.size and not self.takes(1, base.frames, shape.size)
        by_frames = shape.frames != base.frames and not self.takes(1, shape.frames, base.size)
        if by_size or by_frames:
            return self._larger_size() if by_size else self._longer_clip()
        if not self.takes(1, shape.frames, shape.size):
            return self._larger_size()
        return (
            'a single clip of this shape works, and so does the shape of the file',
            f'set multigrid.max_clips: {max(1, self.settings.max_clips // 2)}, or another batch_size',
        )

    def _larger_size(self) -> tuple[str, str]:
        block, base, shape = self.settings.block, self.settings.baseline, self.batch.shape
        multiples, step = (MULTIPLES, block.lq_multiple) if isinstance(block, CycleBlock) else ((), LQ_STEP)
        lq, full = shape.size // base.scale, base.size // base.scale

        def works(size: int) -> bool:
            return self.takes(1, shape.frames, size * base.scale)

        for multiple in multiples:
            if lq % multiple and lq > multiple and works(lq // multiple * multiple):
                return f'LQ {lq // multiple * multiple} works', f'set multigrid.lq_multiple: {multiple}'
        between = range(lq // step * step + step, full, step)
        least = _first(between, works) or full
        told = f'this network takes LQ {least}' if least < full else f'this network takes the full size, LQ {full}'
        return told, preset_of(block).advise_size(block, self._index, least, base)

    def _longer_clip(self) -> tuple[str, str]:
        block, base, shape = self.settings.block, self.settings.baseline, self.batch.shape
        step = 2 if base.mirrored else 1
        between = range(shape.frames + step, base.frames, step)
        least = _first(between, lambda frames: self.takes(1, frames, shape.size)) or base.frames
        told = f'this network takes {least} frames'
        return told, preset_of(block).advise_frames(block, self._index, least, base)

    @property
    def _above_baseline(self) -> bool:
        shape, base = self.batch.shape, self.settings.baseline
        return shape.size > base.size or shape.frames > base.frames

    @property
    def _smaller_top_stage(self) -> str:
        return preset_of(self.settings.block).advise_smaller(self.settings.block, self._index)

    @property
    def _index(self) -> int:
        """0-based number of the stage. Without a stage the shape is the file's own, and no preset is used."""
        return self.stage.index if self.stage else 0


def _halves(number: int) -> list[int]:
    """Return number // 2, // 4, ... down to 1; [1] for 1, since a smaller shape's share may still be divided."""
    found = []
    while number > 1:
        number //= 2
        found.append(number)
    return found or [1]


def _first(ascending: Sequence[int], works: Callable[[int], bool]) -> int | None:
    """Return the first value that works, by bisection, assuming that all after it do; None if the last does not."""
    low, high = 0, len(ascending)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if works(ascending[middle]) else (middle + 1, high)
    return ascending[low] if low < len(ascending) else None

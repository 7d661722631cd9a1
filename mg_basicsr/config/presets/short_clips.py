"""Preset short_clips: short to full clips at the full crop, in more iterations, under a rate that is held, then falls.

Small crops cost PSNR where short clips do not, and a step on clips of a quarter of the frames teaches more than a
quarter of a full one (measured: docs/benchmarks.md). So most iterations are short ones, and there are more of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import ClassVar

from mg_basicsr.config.block import Block
from mg_basicsr.config.keys import COUNT, FRACTIONS, key
from mg_basicsr.config.needs import Needs
from mg_basicsr.config.presets.cycles import planned_lengths, shortest_clip
from mg_basicsr.config.presets.preset import Preset, Suggestion
from mg_basicsr.parsing.problems import Problems
from mg_basicsr.parsing.values import list_of, positive, share
from mg_basicsr.schedule.baseline import Baseline
from mg_basicsr.schedule.lr import Constant, Linear
from mg_basicsr.schedule.plan import StageSpec, rounded
from mg_basicsr.schedule.shape import BatchShape, exact_fraction_of

SHARES = list_of(positive, "a list of numbers above 0: iterations of each clip length, as multiples of the file's")


@dataclass(frozen=True, kw_only=True)
class ShortClipsBlock(Block):
    """Keys of the clip lengths and of the rate.

    Attributes:
        temporal: Clip lengths in order: fractions of the full length (float) or frames (int).
        shares: Iterations of each clip length, as multiples of the file's `total_iter`.
        hold: Share of the iterations in which the rate is the file's; then it falls to the minimum along a line.
        min_frames: Shortest clip.
        nearest: Whether fractions give the nearest number of frames; no key.
    """

    nearest: ClassVar[bool] = True

    temporal: tuple[float | int, ...] = key(FRACTIONS, (0.25, 0.5, 1.0))
    shares: tuple[float, ...] = key(SHARES, (1.0, 0.3, 0.2))
    hold: float = key(share, 0.5)
    min_frames: int = key(COUNT, 2)


class ShortClips(Preset[ShortClipsBlock]):
    """Preset of clip lengths that grow, at the file's own crop and batch size."""

    name = 'short_clips'
    summary = 'short to full clips at the full crop, half as many iterations more, rate held, then down a line'
    block = ShortClipsBlock

    def specs(self, block: ShortClipsBlock, base: Baseline, problems: Problems) -> list[StageSpec]:
        """Return the stages of a block; see `Preset.specs`."""
        if base.fixed_frames:
            problems.add(
                'multigrid.preset',
                f'{self.name}, but this dataset gives {base.frames} frames for one GT frame',
                'allowed: recurrent networks, which take clips of any length',
                'use preset: lin2022',
            )
        if len(block.shares) != len(block.temporal):
            problems.add(
                'multigrid.shares',
                f'{len(block.shares)} shares for {len(block.temporal)} clip lengths',
                'allowed: one share per entry of temporal',
                'give lists of equal length',
            )
        return short_clips_stages(block, base, planned_lengths(block.temporal, block, base, problems))

    def suit(self, needs: Needs, base: Baseline) -> list[Suggestion]:
        """Return the shortest clip of the networks, where it is above the default; see `Preset.suit`."""
        return shortest_clip(needs, base, ShortClipsBlock.min_frames)

    def advise_size(self, block: ShortClipsBlock, stage: int, lq_size: int, base: Baseline) -> str:
        """Return a gt_size, since all crops have the file's; see `Preset.advise_size`."""
        return f'set datasets.train.gt_size: {lq_size * base.scale}'

    def advise_frames(self, block: ShortClipsBlock, stage: int, frames: int, base: Baseline) -> str:
        """Return a min_frames, or to use the full length for all clips; see `Preset.advise_frames`."""
        if frames < base.frames:
            return f'set multigrid.min_frames: {frames}'
        return 'set multigrid.temporal: [1.0] and multigrid.shares: [1.0]'


PRESET = ShortClips()


def short_clips_stages(block: ShortClipsBlock, base: Baseline, lengths: Sequence[int]) -> list[StageSpec]:
    """Return the stages; the one in which the rate begins to fall is given as two.

    >>> base = Baseline(8, 8, 256, 4, total_iter=100, lr=2e-4, eta_min=0, host_curve=Constant())
    >>> for spec in short_clips_stages(ShortClipsBlock('short_clips'), base, [2, 4, 8]):
    ...     print(spec.iters, *spec.shapes, round(spec.first_lr, 7), spec.curve)
    75 BatchShape(clips=8, frames=2, size=256) 0.0002 constant
    25 BatchShape(clips=8, frames=2, size=256) 0.0002 linear 75
    30 BatchShape(clips=8, frames=4, size=256) 0.0001333 linear 50
    20 BatchShape(clips=8, frames=8, size=256) 5.33e-05 linear 20

    Args:
        block: The block, for its shares and hold.
        base: The run that the file describes.
        lengths: Frames per clip of each stage, in order.
    """
    iters = rounded([exact_fraction_of(share, base.total_iter) for share in block.shares])
    total = sum(iters)
    knee = round(exact_fraction_of(block.hold, total))
    specs = []
    for start, stop, frames in zip(accumulate(iters, initial=0), accumulate(iters), lengths, strict=False):
        shape = BatchShape(base.clips, frames, base.size)
        for first, end in pairwise([start, knee, stop] if start < knee < stop else [start, stop]):
            curve = Constant() if first < knee else Linear(total - first)
            fallen = max(0, first - knee) / max(1, total - knee)
            rate = base.lr + (base.eta_min - base.lr) * fallen
            specs.append(StageSpec(end - first, (shape,), rate, base.eta_min, curve))
    return specs

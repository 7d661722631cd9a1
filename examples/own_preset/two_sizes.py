"""A preset from outside the package: half-size crops for the first part of the run, full crops for the rest."""

from __future__ import annotations

from dataclasses import dataclass

from mg_basicsr.config.presets import Block, Preset, key
from mg_basicsr.parsing.problems import Problems
from mg_basicsr.parsing.values import positive
from mg_basicsr.schedule import Baseline, BatchShape
from mg_basicsr.schedule.lr import Constant, Cosine
from mg_basicsr.schedule.plan import StageSpec


@dataclass(frozen=True, kw_only=True)
class TwoSizesBlock(Block):
    """Keys beside those of every preset.

    Attributes:
        share: Part of the iterations that has half-size crops.
    """

    share: float = key(positive, 0.5)


class TwoSizes(Preset[TwoSizesBlock]):
    """The rate stays constant on half-size crops, and falls on full ones along a cosine."""

    name = 'two_sizes'
    summary = 'half-size crops, then full ones'
    block = TwoSizesBlock

    def specs(self, block: TwoSizesBlock, base: Baseline, problems: Problems) -> list[StageSpec]:
        """Return the two stages; see `Preset.specs`."""
        if block.share >= 1:
            problems.add('multigrid.share', f'{block.share}', 'allowed: a number between 0 and 1', 'use a smaller one')
        half = max(1, base.size // 2 // base.scale) * base.scale
        first = int(block.share * base.total_iter)
        rest = base.total_iter - first
        small, full = BatchShape(base.clips, base.frames, half), base.shape
        return [
            StageSpec(first, (small,), base.lr, base.eta_min, Constant()),
            StageSpec(rest, (full,), base.lr, base.eta_min, Cosine(rest)),
        ]


PRESET = TwoSizes()

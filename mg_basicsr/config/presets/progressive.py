"""Preset progressive: progressive learning as in Zamir et al., "Restormer", CVPR 2022.

Three lists of equal length, as in repositories built on Restormer's code: crops grow, mini-batches shrink, the rate
follows the file's own schedule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from typing import Any

from mg_basicsr.config.baseline import check_host_curve
from mg_basicsr.config.block import Block
from mg_basicsr.config.keys import CLIPS, COUNTS, key
from mg_basicsr.config.needs import needs_of
from mg_basicsr.config.own_schedule import OwnSchedule
from mg_basicsr.config.presets.cycles import CycleBlock
from mg_basicsr.config.presets.preset import ClipsOption, Preset
from mg_basicsr.parsing.problems import Problems
from mg_basicsr.parsing.section import Section
from mg_basicsr.parsing.values import MOST_CLIPS, choice, host_integer, list_of
from mg_basicsr.schedule.baseline import Baseline
from mg_basicsr.schedule.lr import HostCurve
from mg_basicsr.schedule.plan import StageSpec, rounded
from mg_basicsr.schedule.shape import BatchShape, distinct, round_size

MINI_BATCHES = list_of(CLIPS, f'a list of integers from 1 to {MOST_CLIPS}')
LISTS = ('gt_sizes', 'mini_batch_sizes', 'iters')

# Restormer's run: sizes relative to the largest, and the share of the iterations that each has.
RESTORMER_SIZES = tuple(Fraction(size, 384) for size in (128, 160, 192, 256, 320, 384))
RESTORMER_SHARES = tuple(Fraction(iters, 300) for iters in (92, 64, 48, 36, 36, 24))


@dataclass(frozen=True, kw_only=True)
class ProgressiveBlock(Block):
    """Keys of the lists, which have one entry per stage.

    Attributes:
        gt_sizes: GT crops in pixels.
        mini_batch_sizes: Clips per optimiser step on one rank, with the number of ranks that the file was made for.
        iters: Iterations, in proportion.
        lr_schedule: host; there is no other.
    """

    gt_sizes: tuple[int, ...] = key(COUNTS)
    mini_batch_sizes: tuple[int, ...] = key(MINI_BATCHES)
    iters: tuple[int, ...] = key(COUNTS)
    lr_schedule: str = key(choice('host'), 'host')


class Progressive(Preset[ProgressiveBlock]):
    """Preset of lists of shapes, with the file's own rate and warm-up."""

    name = 'progressive'
    summary = 'lists of crop sizes, mini-batches and iterations'
    block = ProgressiveBlock

    def specs(self, block: ProgressiveBlock, base: Baseline, problems: Problems) -> list[StageSpec]:
        """Return the stages of a block; see `Preset.specs`."""
        check_host_curve('multigrid.lr_schedule', base, problems)
        lengths = {name: len(getattr(block, name)) for name in LISTS}
        if len(set(lengths.values())) > 1:
            problems.add(
                'multigrid.gt_sizes',
                ', '.join(f'{count} {name}' for name, count in lengths.items()),
                'allowed: three lists of equal length',
                'give each stage a size, a mini-batch and its iterations',
            )
        _check_sizes(block, base, problems)
        count = min(lengths.values())
        clips = [_clips(block, n, base, problems) for n in range(count)]
        return progressive_stages(base, block.gt_sizes[:count], clips, block.iters[:count])

    def warmup_iter(self, own: int, total: int) -> int:
        """Return the file's own warm-up, or none; see `Preset.warmup_iter`."""
        return max(0, own)

    def max_clips(self, block: ProgressiveBlock, base: Baseline) -> int:
        """Return the clips of the full shape with the pixels of the largest mini-batch, rounded up.

        Every mini-batch of the lists is then one pass on the file's own number of ranks. See `Preset.max_clips`.
        """
        largest = max(clips * size**2 for clips, size in zip(block.mini_batch_sizes, block.gt_sizes, strict=True))
        return -(-largest // base.size**2)

    def clips_option(self, block: ProgressiveBlock, stage: int, shape: BatchShape) -> ClipsOption:
        """Return the stage's mini-batch, which is multiplied by the ranks; see `Preset.clips_option`."""
        return ClipsOption(f'multigrid.mini_batch_sizes[{stage}]', shape.clips, is_value=False)

    def suggest(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return lists for a stock file: Restormer's sizes relative to the file's, and its shares of the iterations.

        The mini-batch is the file's in every stage, since the rate was made for it. Sizes are those that the networks
        take, and not below half of the file's if that is smaller than the usual minimum. See `Preset.suggest`.
        """
        problems = Problems()
        root = Section('', options, problems)
        train_set, train = root.section('datasets').section('train'), root.section('train')
        scale = root.read('scale', host_integer(1), 1, default=1)
        full = train_set.read('gt_size', host_integer(1), scale)
        per_rank = train_set.read('batch_size_per_gpu', host_integer(1, MOST_CLIPS), 1)
        total = train.read('total_iter', host_integer(1), 1)
        problems.raise_if_any()
        needs = needs_of(options, scale)
        multiple = lcm(CycleBlock.lq_multiple, needs.multiple.whole)
        minimum = max(min(CycleBlock.min_lq_size, full // scale // 2), needs.smallest_crop(full // scale))
        sizes = [round_size(float(part * full), full, scale, multiple, minimum) for part in RESTORMER_SIZES]
        iters = [max(1, round(part * total)) for part in RESTORMER_SHARES]
        merged = distinct(sizes)
        return {
            'gt_sizes': merged,
            'mini_batch_sizes': [per_rank] * len(merged),
            'iters': [sum(n for n, size in zip(iters, sizes, strict=True) if size == each) for each in merged],
        }

    def adopt(self, schedule: OwnSchedule) -> dict[str, Any]:
        """Return the lists; see `Preset.adopt`."""
        return dict(zip(LISTS, map(list, (schedule.sizes, schedule.clips, schedule.iters)), strict=True))


PRESET = Progressive()


def progressive_stages(
    base: Baseline, sizes: Sequence[int], clips: Sequence[int], shares: Sequence[int]
) -> list[StageSpec]:
    """Return the stages; together they have the file's iterations, at the file's own rates.

    >>> from mg_basicsr.schedule.lr import Constant
    >>> base = Baseline(8, 1, 384, 1, total_iter=1000, lr=3e-4, eta_min=0, host_curve=Constant())
    >>> for spec in progressive_stages(base, sizes=[128, 384], clips=[8, 1], shares=[3, 1]):
    ...     print(spec.iters, *spec.shapes)
    750 BatchShape(clips=8, frames=1, size=128)
    250 BatchShape(clips=1, frames=1, size=384)

    Args:
        base: The run that the file describes.
        sizes: GT sizes in pixels, one per stage, the last the baseline's.
        clips: Clips per optimiser step of each stage, all ranks together.
        shares: Parts of the file's iterations, in proportion; their sum may be any.
    """
    unit = Fraction(base.total_iter, sum(shares))
    lengths = rounded([unit * share for share in shares])
    specs: list[StageSpec] = []
    start = 0
    for iters, count, size in zip(lengths, clips, sizes, strict=True):
        shape = BatchShape(count, base.frames, size)
        specs.append(StageSpec(iters, (shape,), base.lr, base.eta_min, HostCurve(base.host_curve, start)))
        start += iters
    return specs


def _check_sizes(block: ProgressiveBlock, base: Baseline, problems: Problems) -> None:
    """Add a problem for every size that is not a crop of the full one, and for a last size that is not the full one."""
    for n, size in enumerate(block.gt_sizes):
        if size % base.scale or size > base.size:
            problems.add(
                f'multigrid.gt_sizes[{n}]',
                f'{size}',
                f'allowed: multiples of scale {base.scale}, up to datasets.train.gt_size {base.size}',
                f'set it to {min(base.size, size // base.scale * base.scale or base.scale)}',
            )
    if block.gt_sizes[-1] < base.size:
        problems.add(
            'multigrid.gt_sizes',
            f'the last is {block.gt_sizes[-1]}',
            f'allowed: the last stage has the full size, datasets.train.gt_size {base.size}',
            f'end the list with it, or set datasets.train.gt_size: {block.gt_sizes[-1]}',
        )


def _clips(block: ProgressiveBlock, n: int, base: Baseline, problems: Problems) -> int:
    """Return the clips of all ranks together in stage n."""
    mini = block.mini_batch_sizes[n]
    clips = Fraction(mini * base.clips, base.clips_per_rank)
    if clips.denominator > 1:
        problems.add(
            f'multigrid.mini_batch_sizes[{n}]',
            f'{mini}, which is {float(clips):g} clips '
            f'with base_batch_size {base.clips} and batch_size_per_gpu {base.clips_per_rank}',
            'allowed: mini-batches per GPU that are whole numbers of clips, all ranks together',
            'set base_batch_size to batch_size_per_gpu x the number of GPUs that the lists were made for',
        )
    return max(1, int(clips))

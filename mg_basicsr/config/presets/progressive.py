"""Resolves the block of preset progressive: three lists, as repositories built on Restormer's code have them."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from mg_basicsr.config.baseline import check_host_curve
from mg_basicsr.config.block import Block
from mg_basicsr.config.presets.rounding import check_lengths
from mg_basicsr.parsing.problems import Problems
from mg_basicsr.parsing.section import Section
from mg_basicsr.parsing.values import MOST_CLIPS, host_integer
from mg_basicsr.schedule.baseline import Baseline
from mg_basicsr.schedule.plan import StageSpec
from mg_basicsr.schedule.progressive import RESTORMER_SHARES, RESTORMER_SIZES, Progressive, progressive
from mg_basicsr.schedule.shape import distinct, round_size

LISTS = ('gt_sizes', 'mini_batch_sizes', 'iters')


def progressive_specs(block: Block, base: Baseline, problems: Problems) -> list[StageSpec]:
    """The stages of the block. Every problem is noted; what could not be used is then the baseline's."""
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
    specs = progressive(base, Progressive(block.gt_sizes[:count], clips, block.iters[:count]))
    check_lengths(specs, base, problems)
    return specs


def most_listed(block: Block, base: Baseline) -> int:
    """Clips of the full shape, rounded up, that are as many pixels as the largest mini-batch of the lists.

    Every mini-batch of the lists is then one pass on the file's own number of ranks.
    """
    largest = max(clips * size**2 for clips, size in zip(block.mini_batch_sizes, block.gt_sizes, strict=True))
    return -(-largest // base.size**2)


def _check_sizes(block: Block, base: Baseline, problems: Problems) -> None:
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


def _clips(block: Block, n: int, base: Baseline, problems: Problems) -> int:
    """Clips of all ranks together: the mini-batch is that of one rank of the file's own set-up."""
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


def suggested(options: Mapping[str, Any]) -> dict[str, list[int]]:
    """Lists for a stock file: Restormer's sizes relative to the file's and its shares of the iterations.

    The rate stays the file's, which was made for its batch: so the mini-batch is the file's in every stage.

    Raises:
        ConfigError: the file lacks what they are made from.
    """
    problems = Problems()
    root = Section('', options, problems)
    train_set, train = root.section('datasets').section('train'), root.section('train')
    scale = root.read('scale', host_integer(1), 1, default=1)
    full = train_set.read('gt_size', host_integer(1), scale)
    per_rank = train_set.read('batch_size_per_gpu', host_integer(1, MOST_CLIPS), 1)
    total = train.read('total_iter', host_integer(1), 1)
    problems.raise_if_any()
    multiple, minimum = Block.lq_multiple, Block.min_lq_size
    sizes = [round_size(float(part * full), full, scale, multiple, minimum) for part in RESTORMER_SIZES]
    iters = [max(1, round(part * total)) for part in RESTORMER_SHARES]
    merged = distinct(sizes)
    return {
        'gt_sizes': merged,
        'mini_batch_sizes': [per_rank] * len(merged),
        'iters': [sum(n for n, size in zip(iters, sizes, strict=True) if size == each) for each in merged],
    }

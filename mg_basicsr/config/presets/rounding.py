"""Values of the block become shapes that the dataset delivers and the network takes."""

from __future__ import annotations

from mg_basicsr.config.block import Block
from mg_basicsr.parsing.problems import Problems
from mg_basicsr.schedule.baseline import Baseline
from mg_basicsr.schedule.plan import StageSpec
from mg_basicsr.schedule.shape import fraction_of, round_frames, round_size


def planned_clips(block: Block, base: Baseline, problems: Problems) -> int:
    """Clips per optimiser step of the full shape, all ranks together."""
    if block.batch_size is not None and block.base_batch_size is None:
        problems.add(
            'multigrid.batch_size',
            f'{block.batch_size} without base_batch_size',
            'needed: the clips per iteration that the lr and total_iter of the file were made for',
            f'add base_batch_size: {base.clips} if the file runs as it is on this number of ranks',
        )
    return block.batch_size or base.clips


def planned_size(
    path: str, value: float | int, block: Block, base: Baseline, problems: Problems, larger: str = 'use 1.0'
) -> int:
    """GT size from a fraction of the full size or from pixels, rounded to what the network takes.

    Args:
        path: Dotted path of the value.
        value: As in the block.
        block: For its lq_multiple and min_lq_size.
        base: The file's own shape.
        problems: Where problems are noted.
        larger: What to do if it is above the full size.
    """
    gt_size = value if isinstance(value, int) else fraction_of(value, base.size)
    if gt_size > base.size:
        problems.add(
            path,
            f'{value} is above datasets.train.gt_size {base.size}',
            f'allowed: fractions up to 1.0, or GT pixels up to {base.size}',
            larger,
        )
        gt_size = base.size
    elif isinstance(value, int) and value % base.scale:
        problems.add(
            path,
            f'{value} GT pixels are not a multiple of scale {base.scale}',
            f'allowed: multiples of {base.scale}',
            f'use {value // base.scale * base.scale or base.scale}',
        )
    return round_size(gt_size, base.size, base.scale, block.lq_multiple, block.min_lq_size)


def frames_asked(value: float | int, base: Baseline) -> int:
    """Frames as the network sees them, as asked for; fractions are of the frames before mirroring."""
    half = 2 if base.mirrored else 1
    return value if isinstance(value, int) else half * fraction_of(value, base.frames // half)


def planned_frames(
    path: str, value: float | int, block: Block, base: Baseline, problems: Problems, longer: str = 'use 1.0'
) -> int:
    """Frames as the network sees them, from a fraction of the full clip or from frames, rounded to what is taken.

    Arguments as for `planned_size`; `longer`: what to do if it is above the full length.
    """
    frames = frames_asked(value, base)
    if frames > base.frames or (base.mirrored and frames % 2):
        problems.add(
            path,
            f'{value} frames of clips with {base.frames}',
            f'allowed: fractions up to 1.0, or {"even " if base.mirrored else ""}frames up to {base.frames}',
            longer if frames > base.frames else f'use {frames + 1}',
        )
        frames = base.frames
    return round_frames(frames, base.frames, block.min_frames, base.mirrored)


def check_lengths(specs: list[StageSpec], base: Baseline, problems: Problems) -> None:
    """Every stage has an iteration at least."""
    if any(spec.iters < 1 for spec in specs):
        total = sum(spec.iters for spec in specs)
        problems.add(
            'train.total_iter',
            f'{base.total_iter}, which gives {total} iterations for {len(specs)} stages',
            'allowed: enough for one iteration in each stage',
            'train longer, or with fewer stages',
        )

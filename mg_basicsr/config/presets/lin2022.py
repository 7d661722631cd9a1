"""Resolves the block of preset lin2022: fractions become sizes and frames, the batch becomes a rate and a length."""

from __future__ import annotations

from mg_basicsr.config.baseline import check_host_curve
from mg_basicsr.config.block import TEMPORAL_CYCLE, Block
from mg_basicsr.config.presets.rounding import check_lengths, frames_asked, planned_clips, planned_frames, planned_size
from mg_basicsr.parsing.problems import Problems
from mg_basicsr.schedule.baseline import Baseline
from mg_basicsr.schedule.lin2022 import ExtraStage, Lin2022, lin2022
from mg_basicsr.schedule.plan import StageSpec
from mg_basicsr.schedule.shape import distinct


def lin2022_specs(block: Block, base: Baseline, problems: Problems) -> list[StageSpec]:
    """The stages of the block. Every problem is noted; what could not be used is then the baseline's."""
    host_schedule = block.lr_schedule == 'host'
    if host_schedule:
        check_host_curve('multigrid.lr_schedule', base, problems)
    clips = planned_clips(block, base, problems)
    sizes, frames = _sizes(block, base, problems), _frames(block, base, problems)
    hierarchical = block.order == 'hierarchical'
    sizes, frames = _merged(sizes, frames) if hierarchical else _paired(sizes, frames, problems)
    total = base.total_iter * base.clips // clips
    parts = len(sizes) * len(frames) if hierarchical else len(sizes)
    if total < parts:
        problems.add(
            'train.total_iter',
            f'{base.total_iter}, which gives {total} iterations for {parts} stages',
            f'allowed: at least {parts} after scaling by base_batch_size / batch_size',
            'train longer, or with fewer stages',
        )
    if block.extra:
        _check_extra(block.extra, base, problems)

    knobs = Lin2022(
        sizes=sizes,
        frames=frames,
        hierarchical=hierarchical,
        clips=clips,
        total_iter=total,
        lr_scaling=block.lr_scaling,
        growth=block.batch_growth == 'inverse',
        small_lr_max=block.small_lr_max,
        host_schedule=host_schedule,
        extra=block.extra,
    )
    specs = lin2022(base, knobs)
    if total >= parts:
        check_lengths(specs, base, problems)  # batches that grow may leave a stage none
    return specs


def _merged(sizes: list[int], frames: list[int]) -> tuple[list[int], list[int]]:
    """Without equal neighbours, which rounding can make."""
    return distinct(sizes), distinct(frames)


def _paired(sizes: list[int], frames: list[int], problems: Problems) -> tuple[list[int], list[int]]:
    """Sizes and clip lengths that grow together, without equal neighbours; a single one is that of every stage."""
    longest = max(len(sizes), len(frames))
    if {len(sizes), len(frames)} - {1, longest}:
        problems.add(
            'multigrid.order',
            f'synchronous with {len(sizes)} sizes {sizes} and {len(frames)} clip lengths {frames}',
            'allowed: spatial and temporal of equal length',
            'give lists of equal length, or order: hierarchical',
        )
        return sizes[-1:], frames[-1:]
    pairs = distinct(list(zip(sizes * (longest // len(sizes)), frames * (longest // len(frames)), strict=True)))
    return [size for size, _ in pairs], [length for _, length in pairs]


def _check_extra(extra: ExtraStage, base: Baseline, problems: Problems) -> None:
    """The extra stage lies above the baseline and is one that the network and the dataset take."""
    path = 'multigrid.extra'
    if extra.gt_size % base.scale or extra.gt_size < base.size:
        problems.add(
            f'{path}.gt_size',
            f'{extra.gt_size}',
            f'allowed: a multiple of scale {base.scale}, at least datasets.train.gt_size {base.size}',
            f'set it to {max(base.size, extra.gt_size // base.scale * base.scale)}',
        )
    if base.fixed_frames and extra.frames != base.frames:
        problems.add(
            f'{path}.frames',
            f'{extra.frames}',
            f'allowed: {base.frames}, the dataset gives clips of no other length',
            f'set it to {base.frames}',
        )
    elif extra.frames < base.frames or (base.mirrored and extra.frames % 2):
        problems.add(
            f'{path}.frames',
            f'{extra.frames}',
            f'allowed: {"even numbers, as the clips are mirrored, " if base.mirrored else ""}at least {base.frames}',
            f'set it to {max(base.frames, extra.frames + 1)}',
        )


def _sizes(block: Block, base: Baseline, problems: Problems) -> list[int]:
    """GT sizes of the spatial cycle, rounded to what the network takes."""
    larger = 'for a stage above the full size use multigrid.extra'
    sizes = [planned_size('multigrid.spatial', value, block, base, problems, larger) for value in block.spatial]
    if sizes[-1] != base.size:
        problems.add(
            'multigrid.spatial',
            f'the last value, {block.spatial[-1]}, gives {sizes[-1]} GT pixels',
            f'allowed: the last stage has the full size, {base.size}',
            'end the list with 1.0',
        )
    return sizes


def _frames(block: Block, base: Baseline, problems: Problems) -> list[int]:
    """Clip lengths of the temporal cycle as the network sees them."""
    values = block.temporal or ((1.0,) if base.fixed_frames else TEMPORAL_CYCLE)
    if base.fixed_frames and {frames_asked(value, base) for value in values} != {base.frames}:
        problems.add(
            'multigrid.temporal',
            f'{list(values)}, but this dataset gives {base.frames} frames for one GT frame',
            'allowed: [1.0], sliding windows and images have a fixed number of frames',
            'remove temporal',
        )
        return [base.frames]
    longer = 'for longer clips use multigrid.extra'
    lengths = [planned_frames('multigrid.temporal', value, block, base, problems, longer) for value in values]
    if lengths[-1] != base.frames:
        problems.add(
            'multigrid.temporal',
            f'the last value, {values[-1]}, gives {lengths[-1]} frames',
            f'allowed: the last stage has the full length, {base.frames}',
            'end the list with 1.0',
        )
    return lengths

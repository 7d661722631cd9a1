"""Resolves the block of preset lin2022: fractions become sizes and frames, the batch becomes a rate and a length."""

from __future__ import annotations

from fractions import Fraction

from mg_basicsr.config.baseline import UNKNOWN_CURVE
from mg_basicsr.config.block import TEMPORAL_CYCLE, Block
from mg_basicsr.config.problems import Problems
from mg_basicsr.schedule.baseline import Baseline
from mg_basicsr.schedule.lin2022 import Lin2022, lin2022
from mg_basicsr.schedule.lr import batch_lr_scale
from mg_basicsr.schedule.plan import StageSpec
from mg_basicsr.schedule.shape import distinct, fraction_of, round_frames, round_size


def lin2022_specs(block: Block, base: Baseline, problems: Problems) -> list[StageSpec]:
    """The stages of the block. Raises ConfigError with all problems if there are any."""
    if block.batch_size is not None and block.base_batch_size is None:
        problems.add(
            f'multigrid.batch_size: {block.batch_size} without base_batch_size',
            'needed: the clips per iteration that the lr and total_iter of the file were made for',
            f'add base_batch_size: {base.clips} if the file runs as it is on this number of ranks',
        )
    host_schedule = block.lr_schedule == 'host'
    if host_schedule and base.host_curve is UNKNOWN_CURVE:
        problems.add(
            'multigrid.lr_schedule: host, but train.scheduler.type is not one of BasicSR',
            'allowed: CosineAnnealingRestartLR | MultiStepLR | MultiStepRestartLR',
            'use lr_schedule: restart',
        )
    clips = block.batch_size or base.clips
    sizes, frames = _sizes(block, base, problems), _frames(block, base, problems)
    hierarchical = block.order == 'hierarchical'
    if not hierarchical and len(sizes) != len(frames) and min(len(sizes), len(frames)) > 1:
        problems.add(
            f'multigrid.order: synchronous with {len(sizes)} sizes {sizes} and {len(frames)} clip lengths {frames}',
            'allowed: spatial and temporal of equal length, after rounding',
            'give lists of equal length, or order: hierarchical',
        )
    total = base.total_iter * base.clips // clips
    parts = len(sizes) * len(frames) if hierarchical else max(len(sizes), len(frames))
    if total < parts:
        problems.add(f'train.total_iter: {total} iterations for {parts} stages', f'allowed: at least {parts} after scaling')
    if block.extra and block.extra.gt_size % base.scale:
        problems.add(
            f'multigrid.extra.gt_size: {block.extra.gt_size} is not a multiple of scale {base.scale}',
            remedy=f'set it to {block.extra.gt_size // base.scale * base.scale or base.scale}',
        )
    problems.raise_if_any()

    if not hierarchical and len(sizes) != len(frames):  # one side does not change
        longest = max(len(sizes), len(frames))
        sizes, frames = sizes * (longest // len(sizes)), frames * (longest // len(frames))
    multiple = Fraction(clips, base.clips)
    knobs = Lin2022(
        sizes=sizes,
        frames=frames,
        hierarchical=hierarchical,
        clips=clips,
        total_iter=total,
        lr_scale=batch_lr_scale(float(multiple), block.lr_scaling),
        stride=multiple,
        small_lr_max=block.small_lr_max,
        host_schedule=host_schedule,
        extra=block.extra,
    )
    return lin2022(base, knobs)


def _sizes(block: Block, base: Baseline, problems: Problems) -> list[int]:
    """GT sizes of the spatial cycle, rounded to what the network takes."""
    wanted: list[int] = []
    for value in block.spatial:
        gt_size = value if isinstance(value, int) else fraction_of(value, base.size)
        if gt_size > base.size:
            problems.add(
                f'multigrid.spatial: {value} is above datasets.train.gt_size {base.size}',
                f'allowed: fractions up to 1.0, or GT pixels up to {base.size}',
                'for a stage above the full size use multigrid.extra',
            )
            continue
        if isinstance(value, int) and value % base.scale:
            problems.add(
                f'multigrid.spatial: {value} GT pixels are not a multiple of scale {base.scale}',
                remedy=f'use {value // base.scale * base.scale or base.scale}',
            )
            continue
        wanted.append(round_size(gt_size, base.size, base.scale, block.lq_multiple, block.min_lq_size))
    if wanted and wanted[-1] != base.size:
        problems.add(
            f'multigrid.spatial: the last value gives {wanted[-1]} GT pixels',
            f'allowed: the last stage is the full size, {base.size}',
            'end the list with 1.0',
        )
    return distinct(wanted)


def _frames(block: Block, base: Baseline, problems: Problems) -> list[int]:
    """Clip lengths of the temporal cycle as the network sees them."""
    fixed = base.sliding_window or base.frames == 1
    values = block.temporal or ((1.0,) if fixed else TEMPORAL_CYCLE)
    half = 2 if base.mirrored else 1  # fractions are of the frames before mirroring
    wanted: list[int] = []
    for value in values:
        frames = value if isinstance(value, int) else half * fraction_of(value, base.frames // half)
        if frames > base.frames or frames % half:
            problems.add(
                f'multigrid.temporal: {value} frames of clips with {base.frames}',
                'allowed: fractions up to 1.0, or ' + ('even ' if half == 2 else '') + f'frames up to {base.frames}',
                'for longer clips use multigrid.extra' if frames > base.frames else '',
            )
            continue
        wanted.append(round_frames(frames, base.frames, block.min_frames, base.mirrored))
    if fixed and any(frames != base.frames for frames in wanted):
        problems.add(
            f'multigrid.temporal: {list(values)}, but this dataset gives clips of {base.frames} frames with one GT frame',
            'allowed: [1.0]: a sliding-window network takes a fixed number of frames',
            'remove temporal',
        )
    elif wanted and wanted[-1] != base.frames:
        problems.add(
            f'multigrid.temporal: the last value gives {wanted[-1]} frames',
            f'allowed: the last stage is the full length, {base.frames}',
            'end the list with 1.0',
        )
    return distinct(wanted)

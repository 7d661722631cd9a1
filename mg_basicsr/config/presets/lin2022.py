"""Preset lin2022: Lin, Wang, Qi, Shan, "Accelerating the Training of Video Super-Resolution Models", AAAI 2023.

A spatial cycle of small to full crops; inside each of its stages a temporal cycle of short to full clips; the rate is
restarted at every stage. The number of clips stays the same, unless the block lets it grow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import Any

from mg_basicsr.config.baseline import check_host_curve
from mg_basicsr.config.keys import COUNT, FRACTIONS, key, section_key, section_schema
from mg_basicsr.config.needs import Needs
from mg_basicsr.config.presets.cycles import (
    CycleBlock,
    CyclePreset,
    frames_asked,
    planned_clips,
    planned_lengths,
    planned_size,
)
from mg_basicsr.config.presets.preset import Suggestion
from mg_basicsr.parsing.problems import Problems, read_section, reads
from mg_basicsr.parsing.values import accepts, choice
from mg_basicsr.schedule.baseline import Baseline
from mg_basicsr.schedule.lr import Cosine, HostCurve, batch_lr_scale
from mg_basicsr.schedule.plan import StageSpec, divide
from mg_basicsr.schedule.shape import BatchShape, distinct

# The temporal cycle of recurrent networks; sliding-window networks take a fixed number of frames.
TEMPORAL_CYCLE: tuple[float, ...] = (0.5, 0.75, 1.0)


@dataclass(frozen=True)
class ExtraStage:
    """Additional stage above the baseline's shape.

    Attributes:
        gt_size: GT crop in pixels.
        frames: Frames per clip as the network sees them.
        iters: Length in iterations.
    """

    gt_size: int
    frames: int
    iters: int


EXTRA_KEYS = {'gt_size': reads(COUNT), 'frames': reads(COUNT), 'iters': reads(COUNT)}


@accepts(section_schema(EXTRA_KEYS, EXTRA_KEYS, ExtraStage))
def _extra(path: str, value: Any, problems: Problems) -> ExtraStage | None:
    """Read `{gt_size, frames, iters}`."""
    values = read_section(path, value, EXTRA_KEYS, EXTRA_KEYS, problems)
    return None if values is None else ExtraStage(**values)


@dataclass(frozen=True, kw_only=True)
class Lin2022Block(CycleBlock):
    """Keys of the two cycles, and of the batch and rate in them.

    Attributes:
        spatial: Crop sizes in order: fractions of the full size (float) or GT pixels (int).
        temporal: Clip lengths in order: fractions of the full length (float) or frames (int).
        order: hierarchical (all lengths for every size) or synchronous (both grow together).
        lr_schedule: restart (at every stage) or host (the file's own schedule).
        extra: Additional stage above the file's shape.
        batch_growth: none, or inverse: smaller shapes get more clips, so that clips x frames x size^2 stays the same.
    """

    spatial: tuple[float | int, ...] = key(FRACTIONS, (0.5, 1.0))
    temporal: tuple[float | int, ...] | None = key(FRACTIONS, None)
    order: str = key(choice('hierarchical', 'synchronous'), 'hierarchical')
    lr_schedule: str = key(choice('restart', 'host'), 'restart')
    extra: ExtraStage | None = section_key(_extra, None)  # noqa: RUF009
    batch_growth: str = key(choice('none', 'inverse'), 'none')


class Lin2022(CyclePreset[Lin2022Block]):
    """Preset of two nested cycles, with one batch size or with batches that grow."""

    name = 'lin2022'
    summary = 'small to full crops, in each short to full clips, restarted rate'
    block = Lin2022Block

    def specs(self, block: Lin2022Block, base: Baseline, problems: Problems) -> list[StageSpec]:
        """Return the stages of a block; see `Preset.specs`."""
        if block.lr_schedule == 'host':
            check_host_curve('multigrid.lr_schedule', base, problems)
        clips = planned_clips(block, base, problems)
        shapes = _shapes(block, base, problems)
        total = base.total_iter * base.clips // clips
        if total < len(shapes):
            problems.add(
                'train.total_iter',
                f'{base.total_iter}, which gives {total} iterations for {len(shapes)} stages',
                f'allowed: at least {len(shapes)} after scaling by base_batch_size / batch_size',
                'train longer, or with fewer stages',
            )
        if block.extra:
            _check_extra(block.extra, base, problems)
        return lin2022_stages(block, base, shapes, clips, total)

    def suit(self, needs: Needs, base: Baseline) -> list[Suggestion]:
        """Return also the cycle that a network has no room for, written out; see `Preset.suit`."""
        found = []
        for each in super().suit(needs, base):
            full_only = each.key == 'min_lq_size' and each.value == base.size // base.scale
            found.append(Suggestion('spatial', [1.0], f'no smaller crops: {each.why}') if full_only else each)
        if base.sliding_window:
            network = needs.frames.network if needs.frames else 'a sliding-window network'
            why = f'no shorter clips: {network} is built for {base.frames} frames'
            found.insert(0, Suggestion('temporal', [1.0], why))
        return found

    def advise_size(self, block: Lin2022Block, stage: int, lq_size: int, base: Baseline) -> str:
        """Return a min_lq_size, or to use the full size for all crops; see `Preset.advise_size`."""
        if lq_size < base.size // base.scale:
            return super().advise_size(block, stage, lq_size, base)
        return 'set multigrid.spatial: [1.0]'

    def advise_frames(self, block: Lin2022Block, stage: int, frames: int, base: Baseline) -> str:
        """Return a min_frames, or to use the full length for all clips; see `Preset.advise_frames`."""
        if frames < base.frames:
            return super().advise_frames(block, stage, frames, base)
        return 'set multigrid.temporal: [1.0]'

    def advise_smaller(self, block: Lin2022Block, stage: int) -> str:
        """Return a change of `extra`, the one stage above the file's shape; see `Preset.advise_smaller`."""
        return 'make multigrid.extra smaller, or remove it'


PRESET = Lin2022()


def lin2022_stages(
    block: Lin2022Block, base: Baseline, shapes: Sequence[tuple[int, int]], clips: int, total: int
) -> list[StageSpec]:
    """Return the stages: equal ones (the last takes the rest), plus `extra`; equal in samples if batches grow.

    Rates (method of the paper, equation 1 as its text reads): all stages but the last follow a cosine over the whole
    run's length I_total, so they stay near the restarted rate (0.93 of it after a sixth of the run); the last follows a
    cosine over its own length down to the minimum.

    >>> from mg_basicsr.schedule.lr import Constant
    >>> base = Baseline(16, 15, 256, 4, total_iter=1000, lr=2e-4, eta_min=0, host_curve=Constant())
    >>> block = Lin2022Block('lin2022', batch_growth='inverse', lr_scaling='none')
    >>> for spec in lin2022_stages(block, base, [(15, 128), (15, 256)], clips=16, total=1000):
    ...     print(spec.iters, *spec.shapes, spec.first_lr, spec.curve)
    125 BatchShape(clips=64, frames=15, size=128) 0.0002 cosine 625
    500 BatchShape(clips=16, frames=15, size=256) 0.0002 cosine 500

    Args:
        block: The block, for its lr_schedule, lr_scaling, small_lr_max, batch_growth and extra.
        base: The run that the file describes.
        shapes: (frames, GT size in pixels) in order, the last the baseline's.
        clips: Clips per optimiser step of the full shape, all ranks together.
        total: Iterations of all stages but `extra`, if all batches had `clips`.
    """
    batches = [_batch(block, base, clips, frames, size) for frames, size in shapes]
    ungrown = list(divide(total, len(batches)))
    if block.extra:
        batches.append(BatchShape(clips, block.extra.frames, block.extra.gt_size))
        ungrown.append(block.extra.iters)
    lengths = [iters * clips // batch.clips for iters, batch in zip(ungrown, batches, strict=True)]

    specs: list[StageSpec] = []
    for n, (batch, iters) in enumerate(zip(batches, lengths, strict=True)):
        last = n == len(batches) - 1
        restart = Cosine(iters if last else sum(lengths))
        host = _host_curve(base, batch, clips, sum(lengths[:n]), sum(ungrown[:n]))
        curve = host if block.lr_schedule == 'host' else restart
        specs.append(StageSpec(iters, (batch,), _first_lr(block, base, batch), base.eta_min, curve))
    return specs


def _batch(block: Lin2022Block, base: Baseline, clips: int, frames: int, size: int) -> BatchShape:
    """Return a stage's shape; with growth it has floor(T * S^2 / (t * s^2)) times the clips."""
    growth = base.frames * base.size**2 // (frames * size**2) if block.batch_growth == 'inverse' else 1
    return BatchShape(clips * growth, frames, size)


def _host_curve(base: Baseline, batch: BatchShape, clips: int, start: int, ungrown: int) -> HostCurve:
    """Return the file's own schedule for a stage.

    Args:
        base: The run that the file describes.
        batch: The stage's shape.
        clips: Clips of the full shape.
        start: First iteration of the stage.
        ungrown: First iteration of the stage if batches did not grow.
    """
    stride = Fraction(batch.clips, base.clips)
    return HostCurve(base.host_curve, start, stride, ungrown * Fraction(clips, base.clips) - start * stride)


def _first_lr(block: Lin2022Block, base: Baseline, batch: BatchShape) -> float:
    """Return a stage's starting rate: the file's, scaled by the batch, capped for crops below the full size."""
    first = batch_lr_scale(batch.clips / base.clips, block.lr_scaling) * base.lr
    if block.small_lr_max is None or batch.size >= base.size:
        return first
    return min(first, block.small_lr_max)


def _shapes(block: Lin2022Block, base: Baseline, problems: Problems) -> list[tuple[int, int]]:
    """Return the (frames, GT size) of the stages, without equal neighbours, which rounding can produce."""
    sizes, frames = _sizes(block, base, problems), _frames(block, base, problems)
    if block.order == 'hierarchical':
        return [(length, size) for size, length in product(distinct(sizes), distinct(frames))]
    longest = max(len(sizes), len(frames))
    if {len(sizes), len(frames)} - {1, longest}:
        problems.add(
            'multigrid.order',
            f'synchronous with {len(sizes)} sizes {sizes} and {len(frames)} clip lengths {frames}',
            'allowed: spatial and temporal of equal length',
            'give lists of equal length, or order: hierarchical',
        )
        return [(frames[-1], sizes[-1])]
    # A single size or clip length is used for every stage.
    return distinct(list(zip(frames * (longest // len(frames)), sizes * (longest // len(sizes)), strict=True)))


def _check_extra(extra: ExtraStage, base: Baseline, problems: Problems) -> None:
    """Add a problem unless the extra stage is above the baseline, and of a shape that the dataset can deliver."""
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


def _sizes(block: Lin2022Block, base: Baseline, problems: Problems) -> list[int]:
    """Return the GT sizes of the spatial cycle, rounded to sizes that networks accept."""
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


def _frames(block: Lin2022Block, base: Baseline, problems: Problems) -> list[int]:
    """Return the clip lengths of the temporal cycle as the network sees them."""
    values = block.temporal or ((1.0,) if base.fixed_frames else TEMPORAL_CYCLE)
    if base.fixed_frames and {frames_asked(value, block, base) for value in values} != {base.frames}:
        problems.add(
            'multigrid.temporal',
            f'{list(values)}, but this dataset gives {base.frames} frames for one GT frame',
            'allowed: [1.0], sliding windows and images have a fixed number of frames',
            'remove temporal',
        )
        return [base.frames]
    return planned_lengths(values, block, base, problems, 'for longer clips use multigrid.extra')

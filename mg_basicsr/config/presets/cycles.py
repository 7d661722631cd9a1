"""Base of presets that go through fractions of the full shape: their keys, rounding, and advice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeVar

from mg_basicsr.config.block import Block
from mg_basicsr.config.keys import CLIPS, COUNT, key
from mg_basicsr.config.needs import Needs
from mg_basicsr.config.presets.preset import ClipsOption, Preset, Suggestion
from mg_basicsr.parsing.problems import Problems
from mg_basicsr.parsing.values import choice, positive
from mg_basicsr.schedule.baseline import Baseline
from mg_basicsr.schedule.shape import BatchShape, fraction_of, round_frames, round_size


@dataclass(frozen=True, kw_only=True)
class CycleBlock(Block):
    """Keys of the batch and of rounding.

    Attributes:
        batch_size: Clips per optimiser step of the full shape, all ranks together.
        lr_scaling: Rule for the rate of a batch that is not the file's; see `batch_lr_scale`.
        small_lr_max: Highest starting rate, absolute, of stages below the full crop size.
        lq_multiple: Number to a multiple of which LQ sizes are rounded down.
        min_lq_size: Smallest LQ crop in pixels.
        min_frames: Shortest clip.
        nearest: Whether fractions give the nearest number of frames and pixels, as each preset's paper has it; else the
            one below. No key: the same for all blocks of a preset.
    """

    nearest: ClassVar[bool] = False

    batch_size: int | None = key(CLIPS, None)
    lr_scaling: str = key(choice('linear', 'sqrt', 'none'), 'linear')
    small_lr_max: float | None = key(positive, None)
    lq_multiple: int = key(COUNT, 4)
    min_lq_size: int = key(COUNT, 32)
    min_frames: int = key(COUNT, 6)


C = TypeVar('C', bound=CycleBlock)


class ClipLengths(Protocol):
    """Block with clip lengths."""

    @property
    def nearest(self) -> bool:
        """Whether fractions give the nearest number of frames, else the one below."""
        ...

    @property
    def min_frames(self) -> int:
        """Shortest clip."""
        ...


class CyclePreset(Preset[C]):
    """Preset with these keys.

    Its batches are whole multiples of the full shape's clips, so that only these have to be divided among ranks.
    """

    def clips_option(self, block: C, stage: int, shape: BatchShape) -> ClipsOption:
        """Return batch_size if it is set; see `Preset.clips_option`."""
        if block.batch_size:
            return ClipsOption('multigrid.batch_size', block.batch_size)
        return super().clips_option(block, stage, shape)

    def suit(self, needs: Needs, base: Baseline) -> list[Suggestion]:
        """Return limits of sizes, frames and rates where the defaults are not those of the networks; see `Preset.suit`.

        Where only the full size is taken, `min_lq_size` is this size: all crops then have it.
        """
        full = base.size // base.scale
        least, multiple = needs.smallest_crop(full), needs.multiple
        found = []
        if least < full and CycleBlock.lq_multiple % multiple.whole:
            why = f'{multiple.network} takes LQ sizes that are multiples of it'
            found.append(Suggestion('lq_multiple', multiple.whole, why))
        if least == full or least > CycleBlock.min_lq_size:
            found.append(Suggestion('min_lq_size', least, f'{_behind_size(needs)} takes no smaller LQ crop'))
        found += shortest_clip(needs, base, CycleBlock.min_frames)
        if needs.small_lr_max is not None and least < full:
            found.append(Suggestion('small_lr_max', needs.small_lr_max.value, needs.why_lr))
        return found

    def advise_size(self, block: C, stage: int, lq_size: int, base: Baseline) -> str:
        """Return a min_lq_size, unless only the full size works; see `Preset.advise_size`."""
        if lq_size < base.size // base.scale:
            return f'set multigrid.min_lq_size: {lq_size}'
        return super().advise_size(block, stage, lq_size, base)

    def advise_frames(self, block: C, stage: int, frames: int, base: Baseline) -> str:
        """Return a min_frames, unless only the full length works; see `Preset.advise_frames`."""
        if frames < base.frames:
            return f'set multigrid.min_frames: {frames}'
        return super().advise_frames(block, stage, frames, base)


def shortest_clip(needs: Needs, base: Baseline, usual: int) -> list[Suggestion]:
    """Return the shortest clip of the networks of a file, if it is above the usual one.

    Args:
        needs: What the networks take.
        base: The run that the file describes.
        usual: Default of `min_frames`.
    """
    least = needs.min_frames
    if not usual < least.whole < base.frames:
        return []
    return [Suggestion('min_frames', least.whole, f'{least.network} takes no shorter clip')]


def _behind_size(needs: Needs) -> str:
    """Return the network that sets the smallest size."""
    return (needs.only or max(needs.smallest, needs.multiple, key=lambda limit: limit.value)).network or 'a network'


def planned_clips(block: CycleBlock, base: Baseline, problems: Problems) -> int:
    """Return the clips per optimiser step of the full shape, all ranks together.

    Args:
        block: The block, for its batch_size.
        base: The run that the file describes.
        problems: Collection to which a batch_size without base_batch_size is added.
    """
    if block.batch_size is not None and block.base_batch_size is None:
        problems.add(
            'multigrid.batch_size',
            f'{block.batch_size} without base_batch_size',
            'needed: the clips per iteration that the lr and total_iter of the file were made for',
            f'add base_batch_size: {base.clips} if the file was made for this number of ranks',
        )
    return block.batch_size or base.clips


def planned_size(
    path: str, value: float | int, block: CycleBlock, base: Baseline, problems: Problems, larger: str = 'use 1.0'
) -> int:
    """Return the GT size for a fraction of the full size or for pixels, rounded to a size that networks accept.

    Args:
        path: Dotted path of the value.
        value: Value in the block: a fraction (float, at most 1) or GT pixels (int).
        block: The block, for its lq_multiple and min_lq_size.
        base: The run that the file describes.
        problems: Collection to which problems are added.
        larger: Remedy if the value is above the full size.
    """
    gt_size = value if isinstance(value, int) else fraction_of(value, base.size, block.nearest)
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


def frames_asked(value: float | int, block: ClipLengths, base: Baseline) -> int:
    """Return the requested frames, as the network sees them, before rounding.

    Args:
        value: A fraction (float, at most 1) of the frames before mirroring, or frames (int).
        block: The block, for its way of rounding.
        base: The run that the file describes.
    """
    half = 2 if base.mirrored else 1
    return value if isinstance(value, int) else half * fraction_of(value, base.frames // half, block.nearest)


def planned_frames(
    path: str, value: float | int, block: ClipLengths, base: Baseline, problems: Problems, longer: str = 'use 1.0'
) -> int:
    """Return the frames, as the network sees them, for a fraction of the full clip or for frames, rounded.

    Args:
        path: Dotted path of the value.
        value: Value in the block: a fraction (float, at most 1) or frames (int).
        block: The block, for its min_frames.
        base: The run that the file describes.
        problems: Collection to which problems are added.
        longer: Remedy if the value is above the full length.
    """
    frames = frames_asked(value, block, base)
    if frames > base.frames or (base.mirrored and frames % 2):
        problems.add(
            path,
            f'{value} frames of clips with {base.frames}',
            f'allowed: fractions up to 1.0, or {"even " if base.mirrored else ""}frames up to {base.frames}',
            longer if frames > base.frames else f'use {frames + 1}',
        )
        frames = base.frames
    return round_frames(frames, base.frames, block.min_frames, base.mirrored)


def planned_lengths(
    values: Sequence[float | int], block: ClipLengths, base: Baseline, problems: Problems, longer: str = 'use 1.0'
) -> list[int]:
    """Return the clip lengths of `temporal` as the network sees them; the last is the full one.

    Args:
        values: The list, at least one entry; see `planned_frames`, as for the others.
        block: The block.
        base: The run that the file describes.
        problems: Collection to which problems are added.
        longer: Remedy if a value is above the full length.
    """
    lengths = [planned_frames('multigrid.temporal', value, block, base, problems, longer) for value in values]
    if lengths[-1] != base.frames:
        problems.add(
            'multigrid.temporal',
            f'the last value, {values[-1]}, gives {lengths[-1]} frames',
            f'allowed: the last stage has the full length, {base.frames}',
            'end the list with 1.0',
        )
    return lengths

"""Preset stages: every stage written out. The plan of any other preset can be printed in this form and pasted back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mg_basicsr.config.baseline import check_host_curve
from mg_basicsr.config.block import Block
from mg_basicsr.config.keys import CLIPS, COUNT, section_key, section_schema
from mg_basicsr.config.presets.preset import ClipsOption, Preset
from mg_basicsr.parsing.problems import Problems, read_section, reads, shown
from mg_basicsr.parsing.values import accepts, integer, list_of, non_negative, positive, schema_of
from mg_basicsr.schedule.baseline import Baseline
from mg_basicsr.schedule.curve_names import CURVES, parse_curve
from mg_basicsr.schedule.lr import Constant
from mg_basicsr.schedule.plan import Plan, StageSpec
from mg_basicsr.schedule.shape import BatchShape


@dataclass(frozen=True)
class StageEntry:
    """Entry of `multigrid.stages` as written; absent values are the baseline's.

    Attributes:
        iters: Length in iterations.
        frames: Frames per clip as the network sees them.
        gt_size: GT crop in pixels.
        clips: Clips per optimiser step, all ranks together.
        lr: Rate at the curve's start and at its end, both absolute, and the curve's name (see `parse_curve`).
        short_cycle: Shapes in turn, one per iteration, in place of frames, gt_size and clips.
    """

    iters: int
    frames: int | None = None
    gt_size: int | None = None
    clips: int | None = None
    lr: tuple[float, float, str] | None = None
    short_cycle: tuple[BatchShape, ...] = ()


@accepts({'type': 'array', 'items': schema_of(COUNT), 'minItems': 3, 'maxItems': 3})
def _short_shape(value: Any) -> BatchShape:
    """Parse one [clips, frames, gt_size] of a short cycle."""
    clips, frames, gt_size = list_of(COUNT, '')(value)
    return BatchShape(CLIPS(clips), frames, gt_size)


@accepts(
    {
        'type': 'array',
        'prefixItems': [schema_of(positive), schema_of(non_negative), {'type': 'string'}],
        'minItems': 3,
        'maxItems': 3,
    }
)
def _lr(value: Any) -> tuple[float, float, str]:
    """Parse [first, last, curve].

    Raises:
        ValueError: the value is something else, or there is no such curve.
    """
    allowed = '[first, last, curve] with curve one of ' + ', '.join(CURVES)
    if not isinstance(value, list) or len(value) != 3 or not isinstance(value[2], str):
        raise ValueError(allowed)
    try:
        parse_curve(value[2], iters=1, start=0, host_curve=Constant())
        return positive(value[0]), non_negative(value[1]), value[2]
    except ValueError:
        raise ValueError(allowed) from None


STAGE_KEYS = {
    'iters': reads(integer(1)),
    'frames': reads(COUNT),
    'gt_size': reads(COUNT),
    'clips': reads(CLIPS),
    'lr': reads(_lr),
    'short_cycle': reads(list_of(_short_shape, 'a list of [clips, frames, gt_size], taken in turn')),
}


@accepts({'type': 'array', 'items': section_schema(STAGE_KEYS, ['iters'], StageEntry), 'minItems': 1})
def _entries(path: str, value: Any, problems: Problems) -> tuple[StageEntry, ...] | None:
    """Read the list of stages."""
    if not isinstance(value, list) or not value:
        problems.add(
            path,
            'missing' if value is None else f'{shown(value)} is not a list of stages',
            'allowed: a list of {iters, frames, gt_size, clips, lr: [first, last, curve]}',
            'paste what `mg-basicsr plan --yaml` prints',
        )
        return None
    entries = [read_section(f'{path}[{n}]', item, STAGE_KEYS, ['iters'], problems) for n, item in enumerate(value)]
    return tuple(StageEntry(**entry) for entry in entries if entry is not None)


@dataclass(frozen=True, kw_only=True)
class StagesBlock(Block):
    """Keys of the preset.

    Attributes:
        stages: The stages, in order.
    """

    stages: tuple[StageEntry, ...] = section_key(_entries)


class Stages(Preset[StagesBlock]):
    """Preset of explicit stages: rates are not scaled by the batch, and warmed up only if the block says so."""

    name = 'stages'
    summary = 'every stage written out'
    block = StagesBlock

    def specs(self, block: StagesBlock, base: Baseline, problems: Problems) -> list[StageSpec]:
        """Return the stages of a block; see `Preset.specs`."""
        specs: list[StageSpec] = []
        start = 0
        for n, entry in enumerate(block.stages):
            path = f'multigrid.stages[{n}]'
            _check_entry(path, entry, base, problems)
            first, last, name = entry.lr or (base.lr, base.eta_min, 'cosine')
            if name.startswith('host'):
                check_host_curve(f'{path}.lr', base, problems)
            curve = parse_curve(name, iters=entry.iters, start=start, host_curve=base.host_curve)
            specs.append(StageSpec(entry.iters, _shapes(entry, base), first, last, curve))
            start += entry.iters
        return specs

    def warmup_iter(self, own: int, total: int) -> int:
        """Return 0, so that the rates are exactly those of the entries; see `Preset.warmup_iter`."""
        return 0

    def clips_option(self, block: StagesBlock, stage: int, shape: BatchShape) -> ClipsOption:
        """Return the key of the stage's entry, if it has one; see `Preset.clips_option`."""
        entry = block.stages[stage]
        if entry.short_cycle or entry.clips:
            key = 'short_cycle' if entry.short_cycle else 'clips'
            return ClipsOption(f'multigrid.stages[{stage}].{key}', shape.clips)
        return super().clips_option(block, stage, shape)

    def advise_size(self, block: StagesBlock, stage: int, lq_size: int, base: Baseline) -> str:
        """Return a gt_size for the stage; see `Preset.advise_size`."""
        return f'set multigrid.stages[{stage}].gt_size: {lq_size * base.scale}'

    def advise_frames(self, block: StagesBlock, stage: int, frames: int, base: Baseline) -> str:
        """Return the frames for the stage; see `Preset.advise_frames`."""
        return f'set multigrid.stages[{stage}].frames: {frames}'

    def advise_smaller(self, block: StagesBlock, stage: int) -> str:
        """Return the stage; see `Preset.advise_smaller`."""
        return f'make multigrid.stages[{stage}] smaller'


PRESET = Stages()


def explicit_entries(plan: Plan) -> list[dict[str, Any]]:
    """Return a plan as entries of `multigrid.stages` (without its warm-up, which stays a key of the block)."""
    return [
        {
            'iters': stage.iters,
            **_explicit_shapes(stage.spec.shapes),
            'lr': [stage.spec.first_lr, stage.spec.floor, str(stage.spec.curve)],
        }
        for stage in plan.stages
    ]


def _explicit_shapes(shapes: Sequence[BatchShape]) -> dict[str, Any]:
    """Return the keys of an entry that give these shapes."""
    if len(shapes) > 1:
        return {'short_cycle': [[shape.clips, shape.frames, shape.size] for shape in shapes]}
    (shape,) = shapes
    return {'frames': shape.frames, 'gt_size': shape.size, 'clips': shape.clips}


def _shapes(entry: StageEntry, base: Baseline) -> tuple[BatchShape, ...]:
    """Return the shapes of a stage, in turn; usually one."""
    full = BatchShape(entry.clips or base.clips, entry.frames or base.frames, entry.gt_size or base.size)
    return entry.short_cycle or (full,)


def _check_entry(path: str, entry: StageEntry, base: Baseline, problems: Problems) -> None:
    """Add a problem for keys that exclude each other, and for shapes that the dataset does not deliver."""
    if entry.short_cycle and (entry.frames or entry.gt_size or entry.clips):
        problems.add(
            f'{path}.short_cycle',
            'beside frames, gt_size or clips',
            'allowed: a short cycle, which has all three for each shape',
            'remove the others, or short_cycle',
        )
    for place, shape in enumerate(_shapes(entry, base)):
        cycle = f'.short_cycle[{place}]' if entry.short_cycle else ''
        _check_shape(path + cycle, shape, base, problems)


def _check_shape(path: str, shape: BatchShape, base: Baseline, problems: Problems) -> None:
    """Add a problem if the dataset cannot deliver a shape."""
    if shape.size % base.scale:
        problems.add(
            f'{path}.gt_size',
            f'{shape.size} is not a multiple of scale {base.scale}',
            f'allowed: multiples of {base.scale}',
            f'set it to {shape.size // base.scale * base.scale or base.scale}',
        )
    if base.fixed_frames and shape.frames != base.frames:
        problems.add(
            f'{path}.frames',
            f'{shape.frames}',
            f'allowed: {base.frames}, the dataset gives clips of no other length',
            f'set it to {base.frames}, or remove it',
        )
    elif base.mirrored and shape.frames % 2:
        allowed = 'allowed: even numbers, as the clips are mirrored'
        problems.add(f'{path}.frames', f'{shape.frames}', allowed, f'set it to {shape.frames + 1}')

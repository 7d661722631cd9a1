"""The `multigrid:` block: its keys, their types, and the only place where defaults stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from mg_basicsr.config.parsers import (
    MOST_CLIPS,
    Parser,
    boolean,
    choice,
    fraction_or_count,
    integer,
    list_of,
    non_negative,
    not_yet,
    positive,
    text,
)
from mg_basicsr.config.problems import Problems, Reader, read_section, reads, shown
from mg_basicsr.schedule.lin2022 import ExtraStage
from mg_basicsr.schedule.lr import Constant
from mg_basicsr.schedule.stages import CURVES, parse_curve

PRESETS = ('lin2022', 'stages')
PRESETS_LATER = ('wu2020', 'progressive')

# Keys of the presets that are not there yet.
KEYS_LATER = (
    *('epoch_factor', 'short_cycle', 'long_cycle', 'finetune', 'lr_steps'),  # wu2020
    *('gt_sizes', 'mini_batch_sizes', 'iters'),  # progressive
)

COUNT = integer(1)
CLIPS = integer(1, MOST_CLIPS)
FRACTIONS = list_of(fraction_or_count, 'a list of fractions such as [0.5, 1.0], or of whole numbers above 1')


@dataclass(frozen=True)
class StageEntry:
    """One entry of `multigrid.stages` as written; absent values take the baseline's."""

    iters: int
    frames: int | None = None
    gt_size: int | None = None
    clips: int | None = None
    lr: tuple[float, float, str] | None = None


def _lr(value: Any) -> tuple[float, float, str]:
    allowed = '[first, last, curve] with curve one of ' + ', '.join(CURVES)
    if not isinstance(value, list) or len(value) != 3 or not isinstance(value[2], str):
        raise ValueError(allowed)
    try:
        parse_curve(value[2], iters=1, start=0, host_curve=Constant())
        return positive(value[0]), non_negative(value[1]), value[2]
    except ValueError:
        raise ValueError(allowed) from None


def _sub_batch(value: Any) -> int:
    """Clips of a sub-batch; 0 for `false`."""
    if value is False:
        return 0
    try:
        return COUNT(value)
    except ValueError as error:
        raise ValueError(f'{error}, or false') from None


EXTRA_KEYS = {'gt_size': reads(COUNT), 'frames': reads(COUNT), 'iters': reads(COUNT)}
STAGE_KEYS = {**EXTRA_KEYS, 'clips': reads(CLIPS), 'lr': reads(_lr)}


def _stages(path: str, value: Any, problems: Problems) -> tuple[StageEntry, ...] | None:
    if not isinstance(value, list) or not value:
        problems.add(
            f'{path}: missing' if value is None else f'{path}: {shown(value)} is not a list of stages',
            'allowed: a list of {iters, frames, gt_size, clips, lr: [first, last, curve]}',
            'paste what `mg-basicsr plan --yaml` prints',
        )
        return None
    entries = [read_section(f'{path}[{n}]', item, STAGE_KEYS, ['iters'], problems) for n, item in enumerate(value)]
    return tuple(StageEntry(**entry) for entry in entries if entry is not None)


def _extra(path: str, value: Any, problems: Problems) -> ExtraStage | None:
    values = read_section(path, value, EXTRA_KEYS, EXTRA_KEYS, problems)
    return None if values is None else ExtraStage(**values)


def key(
    parser: Parser[Any] | None = None,
    default: Any = MISSING,
    presets: tuple[str, ...] = PRESETS,
    reader: Reader | None = None,
) -> Any:
    """A key of the block: its parser (a reader where it has parts of its own), default, and the presets that use it."""
    return field(default=default, metadata={'reader': reader or reads(parser or not_yet), 'presets': presets})


@dataclass(frozen=True)
class Block:
    """A validated `multigrid:` block. The meaning of each key is told in docs/options.md."""

    preset: str = key(choice(*PRESETS, later=PRESETS_LATER))
    spatial: tuple[float | int, ...] = key(FRACTIONS, (0.5, 1.0), ('lin2022',))
    temporal: tuple[float | int, ...] | None = key(FRACTIONS, None, ('lin2022',))
    order: str = key(choice('hierarchical', 'synchronous'), 'hierarchical', ('lin2022',))
    base_batch_size: int | None = key(CLIPS, None)
    batch_size: int | None = key(CLIPS, None, ('lin2022',))
    lr_scaling: str = key(choice('linear', 'sqrt', 'none'), 'linear', ('lin2022',))
    lr_schedule: str = key(choice('restart', 'host', later=['steps']), 'restart', ('lin2022',))
    small_lr_max: float | None = key(positive, None, ('lin2022',))
    extra: ExtraStage | None = key(None, None, ('lin2022',), reader=_extra)  # noqa: RUF009
    stages: tuple[StageEntry, ...] = key(None, (), ('stages',), reader=_stages)
    max_clips: int | None = key(COUNT, None)
    batch_growth: str = key(choice('none', later=['inverse']), 'none', ('lin2022',))
    warmup_iter: int | None = key(integer(-1), None)
    lq_multiple: int = key(COUNT, 4, ('lin2022',))
    min_lq_size: int = key(COUNT, 32, ('lin2022',))
    min_frames: int = key(COUNT, 6, ('lin2022',))
    precision: str = key(choice('float32', 'bfloat16', 'float16'), 'float32')
    uint8_transfer: bool = key(boolean, True)
    channels_last: bool = key(boolean, False)
    fused_optimizer: bool = key(boolean, False)
    compile: bool = key(boolean, False)
    tf32: bool | None = key(boolean, None)
    cudnn_benchmark: bool | None = key(boolean, None)
    sub_batch_norm: int | None = key(_sub_batch, None)
    store: str | None = key(text, None)
    check: bool = key(boolean, True)
    temporal_stride: bool | None = key(boolean, None)
    spatial_stride: bool | None = key(boolean, None)
    degradation: str | None = key(choice('bicubic', 'bd'), None)
    on_bad_frame: str = key(choice('error', 'skip_clip'), 'error')
    keep_last: int | None = key(COUNT, None)


# Clips that batch norm takes its statistics over while the number of clips varies (wu2020).
SUB_BATCH = 8

# The temporal cycle of recurrent networks; sliding-window networks take a fixed number of frames.
TEMPORAL_CYCLE: tuple[float, ...] = (0.5, 0.75, 1.0)


def parse_block(section: Any, problems: Problems) -> Block | None:
    """The block as written in the file; None where values of it could not be read. Every problem is noted.

    A value of `~` means the default.
    """
    if not isinstance(section, Mapping):
        what = f'multigrid: {shown(section)} is not a section'
        problems.add(what, 'allowed: keys such as preset', 'write preset: lin2022 below it')
        return None
    known = {spec.name: spec for spec in fields(Block)}
    problems.unknown_keys('multigrid', {name: section[name] for name in section if name not in KEYS_LATER}, known)

    before = len(problems.found)
    for name in KEYS_LATER:
        if section.get(name) is not None:
            problems.parse(f'multigrid.{name}', section[name], not_yet, None)
    values = {
        name: spec.metadata['reader'](f'multigrid.{name}', section.get(name), problems)
        for name, spec in known.items()
        if section.get(name) is not None or name == 'preset'
    }
    if len(problems.found) > before:
        return None

    for name in values:
        if values['preset'] not in known[name].metadata['presets']:
            problems.add(
                f'multigrid.{name}: not used by preset {values["preset"]} (value {shown(section[name])})',
                'used by: ' + ', '.join(known[name].metadata['presets']),
                'remove it',
            )
    if values['preset'] == 'stages' and 'stages' not in values:
        _stages('multigrid.stages', None, problems)
        return None
    return Block(**values)

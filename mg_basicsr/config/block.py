"""The `multigrid:` block: its keys, their types, and the only place where defaults stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from fractions import Fraction
from math import sqrt
from typing import Any

from mg_basicsr.config import keys as cycles
from mg_basicsr.config.keys import EXPLICIT_CYCLE, FRACTIONS, LONG_CYCLE, SHORT_CYCLE, LrSteps, ShortShape
from mg_basicsr.dataset_types import DEGRADATIONS
from mg_basicsr.parsing.problems import Problems, Reader, read_section, reads, shown
from mg_basicsr.parsing.values import (
    MOST_CLIPS,
    Parser,
    boolean,
    choice,
    integer,
    list_of,
    non_negative,
    positive,
    text,
)
from mg_basicsr.schedule.lin2022 import ExtraStage
from mg_basicsr.schedule.lr import Constant
from mg_basicsr.schedule.stages import CURVES, parse_curve

PRESETS = ('lin2022', 'wu2020', 'progressive', 'stages')
CYCLES = ('lin2022', 'wu2020')  # presets that round fractions of the full shape

# What `lr_schedule` can be, the default first.
LR_SCHEDULES = {'lin2022': ('restart', 'host'), 'wu2020': ('steps',), 'progressive': ('host',)}

# Keys that a preset cannot do without.
NEEDED = {'stages': ('stages',), 'progressive': ('gt_sizes', 'mini_batch_sizes', 'iters')}

COUNT = integer(1)
CLIPS = integer(1, MOST_CLIPS)
COUNTS = list_of(COUNT, 'a list of integers >= 1')
MINI_BATCHES = list_of(CLIPS, f'a list of integers from 1 to {MOST_CLIPS}')


@dataclass(frozen=True)
class StageEntry:
    """One entry of `multigrid.stages` as written; absent values take the baseline's."""

    iters: int
    frames: int | None = None
    gt_size: int | None = None
    clips: int | None = None
    lr: tuple[float, float, str] | None = None
    short_cycle: tuple[ShortShape, ...] = ()


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
STAGE_KEYS = {**EXTRA_KEYS, 'clips': reads(CLIPS), 'lr': reads(_lr), 'short_cycle': reads(EXPLICIT_CYCLE)}


def _stages(path: str, value: Any, problems: Problems) -> tuple[StageEntry, ...] | None:
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
    if reader is None:
        assert parser is not None
        reader = reads(parser)
    return field(default=default, metadata={'reader': reader, 'presets': presets})


@dataclass(frozen=True)
class Block:
    """A validated `multigrid:` block. The meaning of each key is told in docs/options.md."""

    preset: str = key(choice(*PRESETS))
    spatial: tuple[float | int, ...] = key(FRACTIONS, (0.5, 1.0), ('lin2022',))
    temporal: tuple[float | int, ...] | None = key(FRACTIONS, None, ('lin2022',))
    order: str = key(choice('hierarchical', 'synchronous'), 'hierarchical', ('lin2022',))
    base_batch_size: int | None = key(CLIPS, None)
    batch_size: int | None = key(CLIPS, None, CYCLES)
    lr_scaling: str = key(choice('linear', 'sqrt', 'none'), 'linear', CYCLES)
    lr_schedule: str | None = key(choice('restart', 'steps', 'host'), None, tuple(LR_SCHEDULES))
    small_lr_max: float | None = key(positive, None, CYCLES)
    extra: ExtraStage | None = key(None, None, ('lin2022',), reader=_extra)  # noqa: RUF009
    long_cycle: tuple[tuple[float | int, float | int], ...] | None = key(LONG_CYCLE, None, ('wu2020',))
    short_cycle: tuple[float | int, ...] = key(SHORT_CYCLE, (0.5, sqrt(0.5)), ('wu2020',))
    epoch_factor: Fraction = key(cycles.epoch_factor, Fraction(3, 2), ('wu2020',))  # noqa: RUF009
    finetune: bool = key(boolean, True, ('wu2020',))
    lr_steps: LrSteps | None = key(None, None, ('wu2020',), reader=cycles.lr_steps)  # noqa: RUF009
    gt_sizes: tuple[int, ...] = key(COUNTS, (), ('progressive',))
    mini_batch_sizes: tuple[int, ...] = key(MINI_BATCHES, (), ('progressive',))
    iters: tuple[int, ...] = key(COUNTS, (), ('progressive',))
    stages: tuple[StageEntry, ...] = key(None, (), ('stages',), reader=_stages)
    max_clips: int | None = key(COUNT, None)
    batch_growth: str = key(choice('none', 'inverse'), 'none', ('lin2022',))
    warmup_iter: int | None = key(integer(-1), None)
    lq_multiple: int = key(COUNT, 4, CYCLES)
    min_lq_size: int = key(COUNT, 32, CYCLES)
    min_frames: int = key(COUNT, 6, CYCLES)
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
    degradation: str | None = key(choice(*DEGRADATIONS), None)
    on_bad_frame: str = key(choice('error', 'skip_clip'), 'error')
    keep_last: int | None = key(COUNT, None)


# Clips that batch norm takes its statistics over while the number of clips varies (wu2020).
SUB_BATCH = 8

# The temporal cycle of recurrent networks; sliding-window networks take a fixed number of frames.
TEMPORAL_CYCLE: tuple[float, ...] = (0.5, 0.75, 1.0)

# wu2020's (time, size) in order; the time of a fixed number of frames is always the whole.
LONG_SHAPES: tuple[tuple[float, float], ...] = ((0.25, sqrt(0.5)), (0.5, sqrt(0.5)), (0.5, 1.0), (1.0, 1.0))


def parse_block(section: Any, problems: Problems) -> Block | None:
    """The block as written in the file; None where values of it could not be read. Every problem is noted.

    A value of `~` means the default.
    """
    if not isinstance(section, Mapping):
        what = f'{shown(section)} is not a section'
        problems.add('multigrid', what, 'allowed: keys such as preset', 'write preset: lin2022 below it')
        return None
    known = {spec.name: spec for spec in fields(Block)}
    problems.unknown_keys('multigrid', section, known)

    before = len(problems.found)
    values = {
        name: spec.metadata['reader'](f'multigrid.{name}', section.get(name), problems)
        for name, spec in known.items()
        if section.get(name) is not None or name == 'preset'
    }
    if len(problems.found) > before:
        return None

    preset = values['preset']
    for name in values:
        if preset not in known[name].metadata['presets']:
            problems.add(
                f'multigrid.{name}',
                f'not used by preset {preset} (value {shown(section[name])})',
                'used by: ' + ', '.join(known[name].metadata['presets']),
                'remove it',
            )
    missing = [name for name in NEEDED.get(preset, ()) if name not in values]
    for name in missing:
        known[name].metadata['reader'](f'multigrid.{name}', None, problems)
    if missing:
        return None
    _settle_lr_schedule(values, problems)
    return Block(**values)


def _settle_lr_schedule(values: dict[str, Any], problems: Problems) -> None:
    """The preset's own default, and no other preset's schedule."""
    allowed = LR_SCHEDULES.get(values['preset'])
    if allowed is None:
        return
    asked = values.setdefault('lr_schedule', allowed[0])
    if asked not in allowed:
        problems.add(
            'multigrid.lr_schedule',
            f'{asked!r} is not one of preset {values["preset"]}',
            'allowed: ' + ' | '.join(allowed),
            'choose another, or remove it',
        )

"""The `multigrid:` block: its keys, their types, and the only place where defaults stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from mg_basicsr.config.parsers import (
    Parser,
    boolean,
    choice,
    fraction_or_count,
    integer,
    list_of,
    non_negative,
    positive,
    text,
)
from mg_basicsr.config.problems import Problems, shown
from mg_basicsr.schedule.lin2022 import ExtraStage
from mg_basicsr.schedule.lr import Constant
from mg_basicsr.schedule.stages import CURVES, parse_curve

PRESETS = ('lin2022', 'stages')

# What is accepted by name but not built yet: refused with a clear message instead of being ignored. None: any value.
NOT_YET: dict[str, set[str] | None] = {
    'preset': {'wu2020', 'progressive'},
    'lr_schedule': {'steps'},
    'batch_growth': {'inverse'},
    'precision': {'bfloat16', 'float16'},
    'on_bad_frame': {'skip_clip'},
    'store': None,
    'keep_last': None,
}


@dataclass(frozen=True)
class StageEntry:
    """One entry of `multigrid.stages` as written; absent values take the baseline's."""

    iters: int
    frames: int | None
    gt_size: int | None
    clips: int | None
    lr: tuple[float, float, str] | None


def _mapping(value: Any, keys: Mapping[str, tuple[Parser[Any], bool]], allowed: str) -> dict[str, Any]:
    """A mapping with these keys (parser, required) and no others; absent optional ones are None."""
    if not isinstance(value, Mapping) or set(value) - set(keys):
        raise ValueError(allowed)
    if any(required and key not in value for key, (_, required) in keys.items()):
        raise ValueError(allowed)
    try:
        return {key: parser(value[key]) if key in value else None for key, (parser, _) in keys.items()}
    except ValueError as error:
        raise ValueError(f'{allowed}; {error}') from None


def _extra(value: Any) -> ExtraStage:
    keys = {'gt_size': (integer(1), True), 'frames': (integer(1), True), 'iters': (integer(1), True)}
    return ExtraStage(**_mapping(value, keys, '{gt_size: pixels, frames: n, iters: n}'))


def _lr(value: Any) -> tuple[float, float, str]:
    allowed = '[first, last, curve] with curve one of ' + ', '.join(CURVES)
    if not isinstance(value, list) or len(value) != 3 or not isinstance(value[2], str):
        raise ValueError(allowed)
    try:
        parse_curve(value[2], iters=1, start=0, host_curve=Constant())
        return positive(value[0]), non_negative(value[1]), value[2]
    except (ValueError, ZeroDivisionError):
        raise ValueError(allowed) from None


def _stage(value: Any) -> StageEntry:
    allowed = '{iters, frames, gt_size, clips, lr: [first, last, curve]}'
    size = (integer(1), False)
    return StageEntry(
        **_mapping(
            value, {'iters': (integer(1), True), 'frames': size, 'gt_size': size, 'clips': size, 'lr': (_lr, False)}, allowed
        )
    )


def _stages(value: Any) -> tuple[StageEntry, ...]:
    if not isinstance(value, list) or not value:
        raise ValueError('a list of {iters, frames, gt_size, clips, lr: [first, last, curve]}')
    entries = []
    for n, item in enumerate(value):
        try:
            entries.append(_stage(item))
        except ValueError as error:
            raise ValueError(f'entry {n + 1} as {error}') from None
    return tuple(entries)


FRACTIONS = list_of(fraction_or_count, 'a list of fractions such as [0.5, 1.0], or of whole numbers above 1')


def key(parser: Parser[Any], default: Any = MISSING, presets: tuple[str, ...] = PRESETS) -> Any:
    """A key of the block: its parser, its default, and the presets that use it."""
    return field(default=default, metadata={'parser': parser, 'presets': presets})


@dataclass(frozen=True)
class Block:
    """A validated `multigrid:` block. The meaning of each key is told in docs/options.md."""

    preset: str = key(choice(*PRESETS))
    spatial: tuple[float | int, ...] = key(FRACTIONS, (0.5, 1.0), ('lin2022',))
    temporal: tuple[float | int, ...] | None = key(FRACTIONS, None, ('lin2022',))
    order: str = key(choice('hierarchical', 'synchronous'), 'hierarchical', ('lin2022',))
    base_batch_size: int | None = key(integer(1), None)
    batch_size: int | None = key(integer(1), None, ('lin2022',))
    lr_scaling: str = key(choice('linear', 'sqrt', 'none'), 'linear', ('lin2022',))
    lr_schedule: str = key(choice('restart', 'steps', 'host'), 'restart', ('lin2022',))
    small_lr_max: float | None = key(positive, None, ('lin2022',))
    extra: ExtraStage | None = key(_extra, None, ('lin2022',))
    stages: tuple[StageEntry, ...] = key(_stages, (), ('stages',))
    max_clips: int | None = key(integer(1), None)
    batch_growth: str = key(choice('none', 'inverse'), 'none', ('lin2022',))
    warmup_iter: int | None = key(integer(-1), None)
    lq_multiple: int = key(integer(1), 4, ('lin2022',))
    min_lq_size: int = key(integer(1), 32, ('lin2022',))
    min_frames: int = key(integer(1), 6, ('lin2022',))
    precision: str = key(choice('float32', 'bfloat16', 'float16'), 'float32')
    uint8_transfer: bool = key(boolean, True)
    store: str | None = key(text, None)
    on_bad_frame: str = key(choice('error', 'skip_clip'), 'error')
    keep_last: int | None = key(integer(1), None)


# The temporal cycle of recurrent networks; sliding-window networks take a fixed number of frames.
TEMPORAL_CYCLE: tuple[float, ...] = (0.5, 0.75, 1.0)


def _not_yet(values: set[str] | None, value: Any) -> bool:
    return values is None or (isinstance(value, str) and value in values)


def parse_block(section: Any, problems: Problems) -> Block | None:
    """The block as written in the file; None where it is too broken to go on. Every problem is noted.

    A value of `~` means the default.
    """
    if not isinstance(section, Mapping):
        problems.add(f'multigrid: {shown(section)} is not a section', 'allowed: keys such as preset', 'write preset: lin2022')
        return None
    known = {spec.name: spec for spec in fields(Block)}
    problems.unknown_keys('multigrid', section, known)
    if section.get('preset') is None:
        problems.add('multigrid.preset: missing', 'allowed: ' + ' | '.join(PRESETS), 'write preset: lin2022')

    before = len(problems.found)
    values: dict[str, Any] = {}
    for name, spec in known.items():
        value = section.get(name)
        if value is None:
            continue
        if name in NOT_YET and _not_yet(NOT_YET[name], value):
            problems.add(f'multigrid.{name}: {value} is not available in this version', remedy='remove it or choose another')
            continue
        values[name] = problems.parse(f'multigrid.{name}', value, spec.metadata['parser'], None)
    if len(problems.found) > before or 'preset' not in values:
        return None

    for name in values:
        if values['preset'] not in known[name].metadata['presets']:
            problems.add(
                f'multigrid.{name}: not used by preset {values["preset"]} (value {shown(section[name])})',
                'used by: ' + ', '.join(known[name].metadata['presets']),
                'remove it',
            )
    if values['preset'] == 'stages' and not values.get('stages'):
        problems.add('multigrid.stages: missing', 'allowed: a list of stages', 'paste what `mg-basicsr plan --yaml` prints')
    return Block(**values)

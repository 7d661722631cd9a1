"""Records of plans in checkpoints, and their comparison when a run is resumed.

The number of ranks is not recorded: a run can be resumed with another one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from math import isclose
from typing import Any

from mg_basicsr.schedule.baseline import Baseline
from mg_basicsr.schedule.grid import OFF, Grid
from mg_basicsr.schedule.lr import HostCurve
from mg_basicsr.schedule.plan import Plan, StageSpec

# Names in a record -> names in the options file or in the output of `plan`, for messages.
WORDS = {
    'base_batch_size': 'multigrid.base_batch_size',
    'base_lr': 'train.optim_g.lr',
    'first_lr': 'lr',
    'floor': 'lowest lr',
    'host_schedule': 'train.scheduler',
    'seed': 'manual_seed',
    'size': 'gt_size',
    'spatial_stride': 'multigrid.spatial_stride',
    'temporal_stride': 'multigrid.temporal_stride',
    'warmup_iter': 'multigrid.warmup_iter',
}
ABSENT = 'none'


def plan_record(plan: Plan, base: Baseline, seed: int, grid: Grid = OFF) -> dict[str, Any]:
    """Record everything that determines the shapes, rates and clips of a run, as plain data.

    A stage is recorded as its preset described it: length, shapes (all ranks together; several with a short cycle),
    starting rate, floor, and the curve as text. Lengths are in iterations, sizes in GT pixels, rates absolute.

    Args:
        plan: The plan.
        base: The baseline.
        seed: Seed of the run.
        grid: Strides and spans of clips.

    Returns:
        Numbers, text, lists and dictionaries, which can be saved with any checkpoint.
    """
    reads_host = any(isinstance(stage.spec.curve, HostCurve) for stage in plan.stages)
    return {
        'seed': seed,
        'base_batch_size': base.clips,
        'base_lr': base.lr,
        'warmup_iter': plan.warmup_iter,
        'host_schedule': repr(base.host_curve) if reads_host else None,
        'temporal_stride': grid.temporal,
        'spatial_stride': grid.spatial,
        'stages': [_plain_fields(stage.spec) for stage in plan.stages],
    }


def _plain_fields(spec: StageSpec) -> dict[str, Any]:
    record = {field.name: _plain(getattr(spec, field.name)) for field in fields(spec)}
    record['shapes'] = [{field.name: getattr(shape, field.name) for field in fields(shape)} for shape in spec.shapes]
    return record


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)


def plan_changes(recorded: Mapping[str, Any], current: Mapping[str, Any]) -> list[str]:
    """List the differences between two records, `old -> new`: those of the whole run, then a line per stage.

    Only the keys of the older record are compared, so that a later version of this package can record more.

    Args:
        recorded: The older record, from a checkpoint.
        current: The record of the present plan.
    """
    old, new = recorded['stages'], current['stages']
    whole = {name: value for name, value in recorded.items() if name != 'stages'}
    found = _differences(whole, current)
    if len(old) != len(new):
        found.append(f'{len(old)} -> {len(new)} stages')
    # stages that were added or removed at the end are reported by their number alone
    for n, (before, after) in enumerate(zip(old, new, strict=False), start=1):
        changed = _differences(_flat(before), _flat(after))
        if changed:
            found.append(f'stage {n}: ' + ', '.join(changed))
    return found


def _flat(stage: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stage's fields with those of its shapes in place of `shapes`; lists in the order of a short cycle."""
    shapes = stage['shapes']
    return {
        **{name: value for name, value in stage.items() if name != 'shapes'},
        **{
            name: shapes[0].get(name) if len(shapes) == 1 else [shape.get(name) for shape in shapes]
            for name in shapes[0]
        },
    }


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return [
        f'{WORDS.get(name, name)} {change}'
        for name, value in old.items()
        if (change := shown_change(value, new.get(name))) is not None
    ]


def shown_change(old: Any, new: Any) -> str | None:
    """Return a change of a value as `old -> new`; None where the two are equal, rates up to rounding.

    >>> shown_change(0.9, 0.5), shown_change(None, 'none given'), shown_change(1, 1.0)
    ('0.9 -> 0.5', 'none -> none given', None)

    Args:
        old: The recorded value; None where there was none.
        new: The present one.
    """
    if _same(old, new):
        return None
    before, after = _shown(old), _shown(new)
    return f'{before} -> {after}' if before != after else f'{old!r} -> {new!r}'  # 1 and '1', 0.9999999 and 1.0


def _same(old: Any, new: Any) -> bool:
    """Compare for equality; rates up to rounding, as another version may compute them in another order."""
    if isinstance(old, float) and isinstance(new, (int, float)):
        return isclose(old, new, rel_tol=1e-9)
    return bool(old == new)


def _shown(value: Any) -> str:
    if value is None:
        return ABSENT
    return f'{value:.6g}' if isinstance(value, float) else str(value)

"""A plan as plain data: what a checkpoint keeps of it, and what has changed since one was written.

Ranks are not in it: the same plan can go on with another number of them.
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

# What a record calls a number, and what the options file or `plan` calls it.
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
    """Everything that shapes, rates and clips of a run follow from, as numbers, text, lists and dictionaries.

    A stage is recorded as its preset described it: length, shapes (of all ranks together, in turn where there is a
    short cycle), starting rate, floor, and curve as text. Iterations and GT pixels; rates absolute.
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
    """What differs between two records, old -> new, one line each: the run as a whole, then stage by stage.

    Only what the older record knows is compared, so that a later version of this package can record more.
    """
    old, new = recorded['stages'], current['stages']
    whole = {name: value for name, value in recorded.items() if name != 'stages'}
    found = _differences(whole, current)
    if len(old) != len(new):
        found.append(f'{len(old)} -> {len(new)} stages')
    for n, (before, after) in enumerate(zip(old, new, strict=False), start=1):
        changed = _differences(_flat(before), _flat(after))
        if changed:
            found.append(f'stage {n}: ' + ', '.join(changed))
    return found


def _flat(stage: Mapping[str, Any]) -> dict[str, Any]:
    """A stage with its shape's numbers beside its own; with a short cycle, in the order of the cycle."""
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
        f'{WORDS.get(name, name)} {_shown(value)} -> {_shown(new.get(name))}'
        for name, value in old.items()
        if not _same(value, new.get(name))
    ]


def _same(old: Any, new: Any) -> bool:
    """Equal; rates up to rounding, which another version may do in another order."""
    if isinstance(old, float) and isinstance(new, (int, float)):
        return isclose(old, new, rel_tol=1e-9)
    return bool(old == new)


def _shown(value: Any) -> str:
    if value is None:
        return ABSENT
    return f'{value:.6g}' if isinstance(value, float) else str(value)

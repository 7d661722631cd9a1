"""What a checkpoint keeps of a plan, and what is told when the plan has changed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from mg_basicsr.schedule.baseline import Baseline
from mg_basicsr.schedule.grid import OFF, Grid
from mg_basicsr.schedule.lr import Constant, Cosine, CosineRestart, HostCurve
from mg_basicsr.schedule.plan import Plan, StageSpec, build_plan
from mg_basicsr.schedule.record import plan_changes, plan_record
from mg_basicsr.schedule.shape import BatchShape

BASE = Baseline(8, 14, 256, 4, 30, 2e-4, 1e-7, CosineRestart((30,), (1.0,)))
SPECS = (
    StageSpec(10, (BatchShape(8, 7, 128),), 2e-4, 1e-7, Cosine(30)),
    StageSpec(20, (BatchShape(8, 14, 256), BatchShape(16, 14, 128)), 1e-4, 1e-7, Cosine(20)),
)


def plan(*specs: StageSpec, world_size: int = 1, warmup_iter: int = 0) -> Plan:
    return build_plan(specs, world_size=world_size, budget=10**9, warmup_iter=warmup_iter, base_lr=BASE.lr)


def record(*specs: StageSpec, base: Baseline = BASE, seed: int = 0, grid: Grid = OFF, **changes: Any) -> dict[str, Any]:
    return plan_record(plan(*(specs or SPECS), **changes), base, seed, grid)


def edited(index: int, **changes: Any) -> list[StageSpec]:
    return [replace(spec, **changes) if n == index else spec for n, spec in enumerate(SPECS)]


def test_a_record_is_plain_data() -> None:
    assert json.loads(json.dumps(record())) == record()
    assert record()['stages'][0] == {
        'iters': 10,
        'shapes': [{'clips': 8, 'frames': 7, 'size': 128}],
        'first_lr': 2e-4,
        'floor': 1e-7,
        'curve': 'cosine 30',
    }


def test_ranks_are_not_in_it() -> None:
    assert record(world_size=4) == record()
    assert plan_changes(record(), record(world_size=2)) == []


@pytest.mark.parametrize(
    ('new', 'told'),
    [
        (record(*edited(0, iters=12)), ['stage 1: iters 10 -> 12']),
        (record(*edited(0, shapes=(BatchShape(4, 7, 96),))), ['stage 1: clips 8 -> 4, gt_size 128 -> 96']),
        (record(*edited(1, first_lr=2e-4)), ['stage 2: lr 0.0001 -> 0.0002']),
        (record(*edited(1, curve=Constant())), ['stage 2: curve cosine 20 -> constant']),
        (record(*edited(1, shapes=(BatchShape(8, 14, 256),))), ['clips [8, 16] -> 8', 'gt_size [256, 128] -> 256']),
        (record(SPECS[0]), ['2 -> 1 stages']),
        (record(SPECS[1], *SPECS), ['2 -> 3 stages', 'stage 1: iters 10 -> 20', 'stage 2: ']),
        (record(seed=3), ['manual_seed 0 -> 3']),
        (record(grid=Grid(14, 256, temporal=True)), ['multigrid.temporal_stride False -> True']),
        (record(grid=Grid(14, 256, spatial=True)), ['multigrid.spatial_stride False -> True']),
        (record(warmup_iter=5), ['multigrid.warmup_iter 0 -> 5']),
        (record(base=replace(BASE, lr=1e-4)), ['train.optim_g.lr 0.0002 -> 0.0001']),
        (record(base=replace(BASE, clips=4)), ['multigrid.base_batch_size 8 -> 4']),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else '',
)  # fmt: skip
def test_changes_are_told_stage_by_stage(new: dict[str, Any], told: list[str]) -> None:
    changes = plan_changes(record(), new)
    assert changes and all(any(part in change for change in changes) for part in told), changes
    assert plan_changes(new, new) == []


def test_the_files_own_schedule_counts_where_it_is_used() -> None:
    other = replace(BASE, host_curve=CosineRestart((15,), (1.0,)))
    assert plan_changes(record(), record(base=other)) == []
    old, new = (record(*edited(0, curve=HostCurve(base.host_curve, 0)), base=base) for base in (BASE, other))
    (change,) = plan_changes(old, new)
    assert change.startswith('train.scheduler CosineRestart(periods=(30,)')


def test_rates_may_differ_by_rounding() -> None:
    assert plan_changes(record(), record(*edited(0, first_lr=2e-4 * (1 + 1e-15)))) == []


def test_what_a_later_version_records_as_well_is_no_change() -> None:
    old = record()
    del old['warmup_iter'], old['stages'][0]['floor']
    assert plan_changes(old, record(warmup_iter=5)) == []

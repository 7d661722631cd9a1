"""Options files in, plans out: preset stages."""

from __future__ import annotations

import pytest

from tests.helpers.stock_options import described, resolved, stock


def test_explicit_stages() -> None:
    """Absent values are the baseline's; rates are taken as they stand, without warm-up."""
    block = {
        'preset': 'stages',
        'stages': [
            {'iters': 100, 'frames': 7, 'gt_size': 128, 'clips': 32, 'lr': [1e-3, 1e-5, 'linear']},
            {'iters': 50, 'lr': [1e-4, 0, 'constant']},
            {'iters': 5950},
        ],
    }
    plan = described(stock(block=block, changes={'train.warmup_iter': 1000}))
    first, second, third = plan['stages']
    assert [(s['start'], s['iters'], s['clips'], s['frames'], s['gt_size']) for s in plan['stages']] == [
        (0, 100, 32, 7, 128),
        (100, 50, 16, 15, 256),
        (150, 5950, 16, 15, 256),
    ]
    assert first['lr'] == pytest.approx([1e-3, 1e-5 + (1e-3 - 1e-5) / 100])
    assert second['lr'] == pytest.approx([1e-4, 1e-4])
    assert third['lr'] == pytest.approx([2e-4, 1e-7], rel=1e-3)


def test_explicit_stages_are_warmed_up_on_request() -> None:
    block = {'preset': 'stages', 'warmup_iter': 10, 'stages': [{'iters': 9000, 'lr': [1e-3, 0, 'constant']}]}
    plan = resolved(stock(block=block)).plan
    assert [plan(i).rate(2e-4) for i in (0, 4, 9, 500)] == pytest.approx([1e-4, 5e-4, 1e-3, 1e-3])


def test_the_shapes_of_a_short_cycle_are_taken_in_turn() -> None:
    shapes = [[32, 7, 128], [16, 15, 256]]
    block = {'preset': 'stages', 'stages': [{'iters': 6000, 'short_cycle': shapes}]}
    plan = resolved(stock(block=block)).plan
    steps = [plan(i).shape for i in range(3)]
    assert [[shape.clips, shape.frames, shape.size] for shape in steps] == [*shapes, shapes[0]]


@pytest.mark.parametrize(('warmup_iter', 'own', 'planned'), [(None, 500, 0), (-1, 500, 0), (7, 500, 7)])
def test_the_files_own_warm_up_is_not_used(warmup_iter: int | None, own: int, planned: int) -> None:
    block = {'preset': 'stages', 'warmup_iter': warmup_iter, 'stages': [{'iters': 9000}]}
    assert resolved(stock(block=block, changes={'train.warmup_iter': own})).plan.warmup_iter == planned

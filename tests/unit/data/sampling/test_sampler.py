"""The sampler: clips of an iteration from the plan, the seed, and nothing that is remembered."""

from __future__ import annotations

import pickle
import tracemalloc
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mg_basicsr.data.sampling.request import SampleRequest
from mg_basicsr.data.sampling.sampler import MultigridSampler, request_at
from mg_basicsr.schedule import BatchShape, Plan
from mg_basicsr.schedule.grid import Grid
from mg_basicsr.schedule.lr import Constant
from mg_basicsr.schedule.plan import StageSpec, build_plan
from tests.helpers.stock_options import PAPER, resolved, stock

WORLD_SIZES = (1, 2, 3, 4, 6, 12)


def plan_of(lengths: list[int], clips: list[int], world_size: int) -> Plan:
    specs = [
        StageSpec(iters, (BatchShape(n, frames, 16 * frames),), 1e-3, 0.0, Constant())
        for frames, (iters, n) in enumerate(zip(lengths, clips, strict=True), start=1)
    ]
    return build_plan(specs, world_size=world_size, budget=1, warmup_iter=0, base_lr=1e-3)


LENGTHS = st.lists(st.integers(1, 6), min_size=3, max_size=3)
CLIPS = st.lists(st.sampled_from([12, 24, 36]), min_size=3, max_size=3)
NUM_KEYS = st.integers(1, 200)
SEEDS = st.integers(0, 2**32 - 1)


@settings(max_examples=30)
@given(lengths=LENGTHS, clips=CLIPS, num_keys=NUM_KEYS, seed=SEEDS)
def test_the_data_does_not_depend_on_the_number_of_ranks(
    lengths: list[int], clips: list[int], num_keys: int, seed: int
) -> None:
    runs = []
    for world_size in WORLD_SIZES:
        plan = plan_of(lengths, clips, world_size)
        ranks = [MultigridSampler(plan, num_keys, seed, rank) for rank in range(world_size)]
        for iteration in range(plan.total_iter):
            shares = [rank.requests(iteration) for rank in ranks]
            assert {len(share) for share in shares} == {plan(iteration).shape.clips // world_size}
            if num_keys >= 2 * plan(iteration).shape.clips:
                positions = [request.seed for share in shares for request in share]
                assert len(set(positions)) == len(positions)  # disjoint
        runs.append([[r for rank in ranks for r in rank.requests(i)] for i in range(plan.total_iter)])
    assert all(run == runs[0] for run in runs)


@given(lengths=LENGTHS, clips=CLIPS, num_keys=NUM_KEYS, seed=SEEDS)
def test_each_key_once_per_pass(lengths: list[int], clips: list[int], num_keys: int, seed: int) -> None:
    """Passes go on through stages: where one ends is where the next begins, whatever the shapes."""
    plan = plan_of(lengths, clips, 1)
    drawn = [request.index for batch in MultigridSampler(plan, num_keys, seed) for request in batch]
    assert len(drawn) == plan.samples
    for start in range(0, len(drawn) - num_keys + 1, num_keys):
        assert sorted(drawn[start : start + num_keys]) == list(range(num_keys))
    assert set(Counter(drawn[len(drawn) // num_keys * num_keys :]).values()) <= {1}


@given(lengths=LENGTHS, clips=CLIPS, num_keys=NUM_KEYS, seed=SEEDS, data=st.data())
def test_any_iteration_can_be_the_first(
    lengths: list[int], clips: list[int], num_keys: int, seed: int, data: st.DataObject
) -> None:
    plan = plan_of(lengths, clips, 2)
    whole = list(MultigridSampler(plan, num_keys, seed, rank=1))
    assert len(whole) == plan.total_iter
    start = data.draw(st.integers(0, plan.total_iter))
    late = MultigridSampler(plan, num_keys, seed, rank=1, start=start)
    assert len(late) == plan.total_iter - start
    assert list(late) == whole[start:]


def test_it_is_pure() -> None:
    """Asked in any order and any number of times, and as a copy in another process, it answers the same."""
    plan = resolved(stock(block=PAPER)).plan
    sampler = MultigridSampler(plan, 24_000, seed=3, rank=2)
    iterations = [0, 74_999, 12_500, 5, 62_499, 5, 0]
    first = [sampler.requests(i) for i in iterations]
    next(iter(sampler))
    again = pickle.loads(pickle.dumps(sampler))
    assert [sampler.requests(i) for i in reversed(iterations)] == first[::-1]
    assert [again.requests(i) for i in iterations] == first


def test_start_counts_when_iteration_begins() -> None:
    sampler = MultigridSampler(plan_of([3, 3, 3], [12, 12, 12], 1), 50)
    sampler.start = 4
    iterator = iter(sampler)
    sampler.start = 0
    assert next(iterator) == sampler.requests(4)


@pytest.mark.parametrize(
    ('iteration', 'frames', 'gt_size'),
    [(0, 7, 128), (12_499, 7, 128), (12_500, 11, 128), (37_500, 7, 256), (74_999, 15, 256)],
)
def test_requests_carry_the_stages_shape(iteration: int, frames: int, gt_size: int) -> None:
    sampler = MultigridSampler(resolved(stock(block=PAPER)).plan, 24_000)
    assert {(request.frames, request.gt_size) for request in sampler.requests(iteration)} == {(frames, gt_size)}


def test_seeds_are_those_of_positions() -> None:
    """One clip, one seed: other passes, positions and runs get others."""
    seeds = {
        request_at(position, num_keys=10, seed=seed, frames=7, gt_size=128).seed
        for position in range(1000)
        for seed in range(3)
    }
    assert len(seeds) == 3000


def test_passes_have_orders_of_their_own() -> None:
    def order(number: int, seed: int) -> tuple[int, ...]:
        positions = range(40 * number, 40 * number + 40)
        return tuple(request_at(p, num_keys=40, seed=seed, frames=7, gt_size=128).index for p in positions)

    assert len({order(number, seed) for number in range(20) for seed in range(5)}) == 100


def test_a_position_has_one_request() -> None:
    """The values are part of what a run can be resumed with: they must not change from version to version."""
    assert request_at(123_456, num_keys=24_000, seed=7, frames=7, gt_size=128) == SampleRequest(
        index=17_110, frames=7, gt_size=128, seed=0x63AA14ED160A32BB
    )


def test_a_grid_sets_the_limits_of_each_shape_and_nothing_else() -> None:
    settings = resolved(stock(block=PAPER))
    base = settings.baseline
    plain = MultigridSampler(settings.plan, 24_000, seed=3)
    wide = MultigridSampler(settings.plan, 24_000, seed=3, grid=Grid(base.frames, base.size, True, True))
    limits = {0: (2, 256), 12_500: (1, 256), 25_000: (1, 256), 37_500: (2, 0), 50_000: (1, 0), 74_999: (1, 0)}
    for iteration, (stride, span) in limits.items():
        requests = wide.requests(iteration)
        assert {(request.max_stride, request.max_span) for request in requests} == {(stride, span)}
        assert [replace(request, max_stride=1, max_span=0) for request in requests] == plain.requests(iteration)


def test_memory_does_not_grow_with_the_set() -> None:
    plan = resolved(stock(block=PAPER)).plan
    tracemalloc.start()
    sampler = MultigridSampler(plan, 10**9, seed=1)
    for iteration in range(0, plan.total_iter, 5000):
        sampler.requests(iteration)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20


def test_a_thousand_ranks_draw_each_key_once_per_pass() -> None:
    """1,024 ranks, a pass of 40 steps and a part: shares are equal, disjoint, and together every key, to the last."""
    ranks, num_keys = 1024, 40 * 2048 + 1000
    plan = plan_of([20, 20, 1], [2048, 2048, 2048], ranks)
    drawn = [
        request.index
        for iteration in range(plan.total_iter)
        for rank in range(ranks)
        for request in MultigridSampler(plan, num_keys, seed=5, rank=rank).requests(iteration)
    ]
    assert len(drawn) == 41 * 2048
    assert sorted(drawn[:num_keys]) == list(range(num_keys))


def test_a_billion_keys_and_a_thousand_ranks() -> None:
    """A step anywhere in a run: 4,096 distinct clips, and what one rank holds of it is small."""
    ranks = 1024
    plan = plan_of([10**9, 1, 1], [4096, 4096, 4096], ranks)
    for iteration in (0, 10**9 // 4096, 987_654_321):  # the first, across the end of a pass, far on
        shares = [MultigridSampler(plan, 10**9, seed=2, rank=rank).requests(iteration) for rank in range(ranks)]
        assert {len(share) for share in shares} == {4}
        indices = [request.index for share in shares for request in share]
        assert len(set(indices)) == 4096 and 0 <= min(indices) <= max(indices) < 10**9
    tracemalloc.start()
    MultigridSampler(plan, 10**9, seed=2, rank=1023).requests(987_654_321)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20

"""Schedules that options files have themselves: the lists of Restormer's train loop."""

from __future__ import annotations

import random
from typing import Any

import pytest

from mg_basicsr.config.own_schedule import OwnSchedule, own_schedule
from mg_basicsr.errors import ConfigError
from tests.helpers.stock_options import REMOVED, resolved, stock

RESTORMER: dict[str, Any] = {
    'gt_sizes': [128, 160, 192, 256, 320, 384],
    'mini_batch_sizes': [8, 5, 4, 2, 1, 1],
    'iters': [92_000, 64_000, 48_000, 36_000, 36_000, 24_000],
    'gt_size': 384,
    'batch_size_per_gpu': 8,
}
WHOLE = {'gt_sizes': [384], 'mini_batch_sizes': [8], 'iters': [300_000], 'gt_size': 384, 'batch_size_per_gpu': 8}


def file(block: dict[str, Any] | None = None, **train_set: Any) -> dict[str, Any]:
    changes = {f'datasets.train.{key}': value for key, value in {**RESTORMER, **train_set}.items()}
    return stock(block=block, changes={'scale': 1, 'train.fix_flow': 0, **changes})


def followed(options: dict[str, Any]) -> list[tuple[int, int]]:
    """Size and clips of each iteration, as Restormer's train loop cuts a batch."""
    train_set = options['datasets']['train']
    ends = [sum(train_set['iters'][: n + 1]) for n in range(len(train_set['iters']))]
    shapes = []
    for current_iter in range(1, options['train']['total_iter'] + 1):
        stage = next((n for n, end in enumerate(ends) if current_iter <= end), len(ends) - 1)
        size, clips = train_set['gt_sizes'][stage], train_set['mini_batch_sizes'][stage]
        shapes.append((min(size, train_set['gt_size']), min(clips, train_set['batch_size_per_gpu'])))
    return shapes


def test_restormers_schedule() -> None:
    found = own_schedule(file())
    assert found is not None
    assert [list(values) for values in (found.sizes, found.clips, found.iters)] == [
        RESTORMER[key] for key in ('gt_sizes', 'mini_batch_sizes', 'iters')
    ]
    assert found.options == WHOLE


@pytest.mark.parametrize('seed', range(50))
def test_it_is_what_the_train_loop_follows(seed: int) -> None:
    """Lists of any lengths of stages and any order, shorter or longer than the run, entries above the whole."""
    rng = random.Random(seed)
    count = rng.randint(1, 5)
    options = file(
        gt_sizes=[rng.choice([64, 128, 256]) for _ in range(count)],
        mini_batch_sizes=[rng.choice([1, 2, 4, 8]) for _ in range(count)],
        iters=[rng.randint(1, 30) for _ in range(count)],
        gt_size=rng.choice([128, 256]),
        batch_size_per_gpu=rng.choice([2, 4]),
    )
    options['train']['total_iter'] = rng.randint(1, 100)
    found, wanted = own_schedule(options), followed(options)
    if found is None:
        whole = options['datasets']['train']['gt_size'], options['datasets']['train']['batch_size_per_gpu']
        assert set(wanted) == {whole}
        return
    stages = zip(found.sizes, found.clips, found.iters, strict=True)
    assert [(size, clips) for size, clips, iters in stages for _ in range(iters)] == wanted
    options['datasets']['train'] |= found.options
    assert own_schedule(options) is None
    assert set(followed(options)) == {(max(found.sizes), max(found.clips))}


@pytest.mark.parametrize(
    'lists',
    [
        WHOLE,
        {**WHOLE, 'iters': [1]},  # the train loop uses their number alone
        {**WHOLE, 'gt_sizes': [384, 384], 'mini_batch_sizes': [8, 8], 'iters': [1, 2]},
        {**WHOLE, 'gt_sizes': [512], 'mini_batch_sizes': [16]},  # more than there is
        {**WHOLE, 'mini_batch_sizes': None},
        {'gt_sizes': None, 'mini_batch_sizes': None, 'iters': None},
    ],
)
def test_lists_that_leave_each_batch_whole_are_no_schedule(lists: dict[str, Any]) -> None:
    assert own_schedule(file(**lists)) is None
    assert resolved(file({'preset': 'lin2022'}, **lists)).plan.stages


@pytest.mark.parametrize(
    ('lists', 'option', 'allowed'),
    [
        ({}, 'gt_sizes', 'gt_sizes: [384], mini_batch_sizes: [8], iters: [300000]'),
        ({**WHOLE, 'gt_sizes': [256]}, 'gt_sizes', 'gt_sizes: [256], mini_batch_sizes: [8], iters: [300000]'),
        ({**WHOLE, 'mini_batch_sizes': [4]}, 'mini_batch_sizes', 'mini_batch_sizes: [4]'),
        ({'iters': REMOVED}, 'gt_sizes', 'gt_sizes: [384], mini_batch_sizes: [8]'),
        ({'gt_sizes': 'small'}, 'gt_sizes', 'gt_sizes: [384]'),
        ({'gt_sizes': []}, 'gt_sizes', 'gt_sizes: [384]'),
    ],
)
def test_beside_a_block_it_is_refused_with_lists_that_work(lists: dict[str, Any], option: str, allowed: str) -> None:
    options = file({'preset': 'lin2022'}, **{key: value for key, value in lists.items() if value is not REMOVED})
    for key in [key for key, value in lists.items() if value is REMOVED]:
        del options['datasets']['train'][key]
    with pytest.raises(ConfigError) as error:
        resolved(options)
    (problem,) = error.value.problems
    assert problem.option == f'datasets.train.{option}'
    assert allowed in problem.allowed and 'the train loop' in problem.remedy


@pytest.mark.parametrize(
    ('lists', 'told'),
    [
        ({'iters': None}, 'datasets.train.iters: missing'),
        ({'gt_sizes': [128.0]}, 'datasets.train.gt_sizes: [128.0]'),
        ({'mini_batch_sizes': 8}, 'datasets.train.mini_batch_sizes: 8'),
        ({'iters': [1, 2]}, 'datasets.train.gt_sizes: 6 gt_sizes, 6 mini_batch_sizes, 2 iters'),
        ({'gt_size': None}, 'datasets.train.gt_size: missing'),
    ],
)
def test_lists_that_the_train_loop_cannot_follow(lists: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as error:
        own_schedule(file(**lists))
    assert [str(problem).startswith(told) for problem in error.value.problems] == [True]


def test_stages_that_are_alike_are_one() -> None:
    lists = {'gt_sizes': [128, 128, 384], 'mini_batch_sizes': [8, 8, 2], 'iters': [10, 20, 30]}
    assert own_schedule(file(**lists)) == OwnSchedule((128, 384), (8, 2), (30, 299_970))

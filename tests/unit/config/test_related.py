"""A file with several mistakes shows all of them, relations too, as far as their parts are good by themselves."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from mg_basicsr.config.resolve import resolve
from mg_basicsr.errors import ConfigError
from mg_basicsr.parsing.options_file import OptionsFile
from tests.helpers.stock_options import change, stock

RANKS = 4
# mistakes of one value, by the option that is named: (changes of the file, changes of the block)
VALUES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    'train.optim_g.lr': ({'train.optim_g.lr': 'fast'}, {}),
    'train.scheduler.eta_min': ({'train.scheduler.eta_min': 'low'}, {}),
    'manual_seed': ({'manual_seed': 'a'}, {}),
    'datasets.train.gt_sizes': ({'datasets.train.gt_sizes': [128, 256]}, {}),
    'multigrid.precision': ({}, {'precision': 'float8'}),
    'multigrid.keep_last': ({}, {'keep_last': -1}),
    'multigrid.max_clips': ({}, {'max_clips': 0}),
    'multigrid.spatail': ({}, {'spatail': [1.0]}),
}
RELATIONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    'train.fix_flow': ({'train.fix_flow': 400_000}, {}),
    'use_static_graph': ({'use_static_graph': True}, {}),
    'multigrid.base_batch_size': ({}, {'base_batch_size': 7}),  # on four ranks
}
ALONE = {'multigrid.batch_size': ({}, {'batch_size': 64})}  # without base_batch_size


def named(mistakes: dict[str, tuple[dict[str, Any], dict[str, Any]]]) -> list[str]:
    options = stock('reds', {'preset': 'lin2022'}, {'train.fix_flow': 0})
    for changes, block in mistakes.values():
        change(options, changes)
        options['multigrid'] |= block
    with pytest.raises(ConfigError) as caught:
        resolve(OptionsFile(Path('x.yml'), (), options), RANKS)
    return [problem.option for problem in caught.value.problems]


@pytest.mark.parametrize('relation', RELATIONS)
def test_four_mistakes_are_four_problems(relation: str) -> None:
    for others in combinations(VALUES, 3):
        mistakes = {name: VALUES[name] for name in others} | {relation: RELATIONS[relation]}
        assert sorted(named(mistakes)) == sorted(mistakes)


def test_relations_beside_each_other() -> None:
    assert sorted(named(RELATIONS)) == sorted(RELATIONS)


@pytest.mark.parametrize('other', [*VALUES, 'train.total_iter', 'datasets.train.gt_size', 'multigrid.spatial'])
def test_a_batch_size_without_its_base(other: str) -> None:
    more = {
        'train.total_iter': ({'train.total_iter': -5}, {}),
        'datasets.train.gt_size': ({'datasets.train.gt_size': 'x'}, {}),
        'multigrid.spatial': ({}, {'spatial': 'all'}),
    }
    assert sorted(named(ALONE | {other: {**VALUES, **more}[other]})) == sorted([other, *ALONE])


@pytest.mark.parametrize('part', ['train.total_iter', 'multigrid.temporal'])
def test_nothing_is_said_of_a_relation_to_a_value_that_is_wrong(part: str) -> None:
    wrong = {'train.total_iter': ({'train.total_iter': -5}, {}), 'multigrid.temporal': ({}, {'temporal': 'all'})}
    assert named({part: wrong[part], 'use_static_graph': RELATIONS['use_static_graph']}) == [part]

"""Files that cannot be planned: what the user is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mg_basicsr.errors import ConfigError
from mg_basicsr.parsing.options_file import load_options
from tests.helpers.problems import check_problems, problems_of
from tests.helpers.stock_options import PAPER, REMOVED, described, resolved, stock

LIN2022: dict[str, Any] = {'preset': 'lin2022'}
CYCLIC = {'type': 'CosineAnnealingRestartCyclicLR', 'periods': [300_000], 'eta_mins': [1e-7, 0]}

BROKEN_FILES: list[tuple[dict[str, Any], str, str, str]] = [
    ({'datasets': REMOVED}, 'datasets: missing', 'section', 'copy'),
    ({'datasets': 5}, 'datasets: 5 is not a section', 'section', 'copy'),
    ({'datasets.train': REMOVED}, 'datasets.train: missing', 'section', 'copy'),
    ({'train': REMOVED}, 'train: missing', 'section', 'copy'),
    ({'train.optim_g': REMOVED}, 'train.optim_g: missing', 'section', 'copy'),
    ({'train.scheduler': REMOVED}, 'train.scheduler: missing', 'section', 'copy'),
    ({'name': 1}, 'name: 1 is not a text', 'as text', "name: '001'"),
    ({'name': ''}, "name: '' is not a text", 'as text', 'in quotes'),
    ({'name': '/data/run'}, "name: '/data/run' is not the name of one folder", 'in experiments', 'rename'),
    ({'name': '../run'}, "name: '../run' is not the name of one folder", 'in experiments', 'rename'),
    ({'name': '..'}, "name: '..' is not the name of one folder", 'in experiments', 'rename'),
    ({'name': 'a\x1b[31m'}, "name: 'a\\x1b[31m' is not the name of one folder", 'control characters', 'rename'),
    ({'scale': 0}, 'scale: 0', 'an integer >= 1', 'correct it'),
    ({'datasets.train.gt_size': REMOVED}, 'datasets.train.gt_size: missing', 'an integer >= 1', 'set it'),
    ({'datasets.train.gt_size': '256'}, "datasets.train.gt_size: '256'", 'an integer >= 1', 'correct it'),
    ({'datasets.train.gt_size': 255}, 'datasets.train.gt_size: 255', 'multiple of the scale', 'use 252'),
    ({'datasets.train.type': REMOVED}, 'datasets.train.type: missing', 'a name', 'set it'),
    ({'datasets.train.type': 'MultigridDataset'}, 'datasets.train.base_type: missing', 'a name', 'set it'),
    ({'datasets.train.num_frame': REMOVED}, 'datasets.train.num_frame: missing', 'an integer >= 1', 'set it'),
    ({'datasets.train.num_frame': -1}, 'datasets.train.num_frame: -1', 'an integer >= 1', 'correct it'),
    ({'datasets.train.batch_size_per_gpu': 0}, 'datasets.train.batch_size_per_gpu: 0', 'from 1', 'correct it'),
    (
        {'datasets.train.gt_sizes': [128, 256]},
        'datasets.train.gt_sizes: [128, 256]',
        'gt_sizes: [256]',
        'write them so',
    ),
    (
        {'datasets.train.mini_batch_sizes': [2]},
        'datasets.train.mini_batch_sizes: [2]',
        'mini_batch_sizes: [4]',
        'write them so',
    ),
    ({'train.total_iter': 0}, 'train.total_iter: 0', 'an integer >= 1', 'correct it'),
    ({'train.total_iter': 5, 'train.fix_flow': 0}, 'train.total_iter: 5', 'at least 6', 'train longer'),
    ({'train.optim_g.lr': REMOVED}, 'train.optim_g.lr: missing', 'a number > 0', 'set it'),
    ({'train.optim_g.lr': 'x'}, "train.optim_g.lr: 'x'", 'a number > 0', 'correct it'),
    ({'train.fix_flow': 300_000}, 'train.fix_flow: 300000', 'less than 300000', 'set train.fix_flow: 5000'),
    ({'train.fix_flow': '5000'}, "train.fix_flow: '5000'", 'an integer >= 0', 'correct it'),
    ({'train.tsa_iter': 10**9}, 'train.tsa_iter: 1000000000', 'less than 300000', 'set train.tsa_iter: 5000'),
    ({'train.warmup_iter': float('inf')}, 'train.warmup_iter: inf', 'an integer >= -1', 'correct it'),
    ({'train.scheduler.type': REMOVED}, 'train.scheduler.type: missing', 'a name', 'set it'),
    ({'train.scheduler.periods': [0]}, 'train.scheduler.periods: [0]', 'integers >= 1', 'correct it'),
    ({'train.scheduler.periods': [1, 2]}, 'train.scheduler.restart_weights: 1 values for 2', 'as many', 'equally long'),
    ({'train.scheduler': CYCLIC}, 'train.scheduler.eta_mins: 2 values for 1', 'as many', 'equally long'),
    ({'train.scheduler.eta_min': -1}, 'train.scheduler.eta_min: -1', 'a number >= 0', 'correct it'),
    ({'manual_seed': -1}, 'manual_seed: -1', 'from 0 to 4294967295', 'correct it'),
    ({'model_type': 'RealESRGANModel'}, 'model_type: RealESRGANModel', 'models that take', 'without the multigrid'),
    ({'model_type': 'MultigridModel'}, 'base_model: missing', 'model class', 'VideoRecurrentModel'),
    ({'model_type': 'MultigridModel', 'base_model': 'LDLModel'}, 'base_model: LDLModel', 'models', 'without'),
    ({'use_static_graph': True}, 'use_static_graph: true', 'one clip length', 'temporal: [1.0]'),
    ({'find_unused_parameters': False}, 'find_unused_parameters: false', 'true on 4 ranks', 'set find_unused'),
]


@pytest.mark.parametrize(('changes', 'what', 'allowed', 'remedy'), BROKEN_FILES)
def test_broken_file(changes: dict[str, Any], what: str, allowed: str, remedy: str) -> None:
    check_problems(problems_of(stock(block=LIN2022, changes=changes)), what, allowed, remedy)


def test_a_schedule_that_is_not_basicsrs_cannot_be_followed() -> None:
    unknown = {'train.scheduler': {'type': 'VibrateLR', 'eta_min': 1e-6}}
    assert resolved(stock(block=LIN2022, changes=unknown)).baseline.eta_min == 1e-6
    options = stock(block=LIN2022 | {'lr_schedule': 'host'}, changes=unknown)
    check_problems(problems_of(options), 'multigrid.lr_schedule: host', 'CosineAnnealingRestartLR', 'another curve')
    options = stock(block={'preset': 'stages', 'stages': [{'iters': 10_000, 'lr': [2e-4, 0, 'host']}]}, changes=unknown)
    check_problems(problems_of(options), 'multigrid.stages[0].lr: host', 'CosineAnnealingRestartLR', 'another curve')


@pytest.mark.parametrize('value', [-1, -5, False, 0, None])
@pytest.mark.parametrize('option', ['fix_flow', 'tsa_iter'])
def test_phases_that_never_begin_or_never_end_are_basicsrs(option: str, value: object) -> None:
    assert described(stock(block=PAPER, changes={f'train.{option}': value})) == described(stock(block=PAPER))


@pytest.mark.parametrize('changes', [{'num_gpu': 1}, {'train.fix_flow': REMOVED}, {'find_unused_parameters': True}])
def test_find_unused_parameters_matters_where_something_is_frozen_on_several_ranks(changes: dict[str, Any]) -> None:
    resolved(stock(block=LIN2022, changes={'find_unused_parameters': False} | changes))


def test_all_problems_are_told_at_once() -> None:
    block = LIN2022 | {'spatail': [1.0], 'order': 'up', 'lr_scaling': 3, 'small_lr_max': -1, 'precision': 'half'}
    changes = {'train.total_iter': 'many', 'datasets.train.gt_size': 255, 'scale': 4, 'model_type': 'LDLModel'}
    paths = [problem.option for problem in problems_of(stock(block=block, changes=changes))]
    assert sorted(paths) == sorted(
        [
            'multigrid.spatail',
            'multigrid.order',
            'multigrid.lr_scaling',
            'multigrid.small_lr_max',
            'multigrid.precision',
            'train.total_iter',
            'datasets.train.gt_size',
            'model_type',
        ]
    )


def test_relations_between_options_are_told_at_once_too() -> None:
    block = LIN2022 | {
        'spatial': [130, 300],
        'temporal': [20, 7],
        'batch_size': 66,
        'extra': {'gt_size': 3, 'frames': 3, 'iters': 3},
        'tempral': [1.0],
    }
    changes = {'train.fix_flow': 10**7, 'use_static_graph': True}
    paths = {problem.option for problem in problems_of(stock(block=block, changes=changes))}
    assert paths == {
        'multigrid.tempral',
        'multigrid.spatial',
        'multigrid.temporal',
        'multigrid.batch_size',
        'multigrid.extra.gt_size',
        'multigrid.extra.frames',
        'train.fix_flow',
        'use_static_graph',
    }


def test_a_missing_section_is_told_once() -> None:
    changes = {'train': REMOVED, 'datasets': REMOVED}
    paths = [problem.option for problem in problems_of(stock(block=LIN2022, changes=changes))]
    assert paths == ['datasets', 'train']


def test_ranks_that_do_not_divide_the_batch() -> None:
    check_problems(problems_of(stock(block=PAPER), world_size=3), 'multigrid.batch_size: 64', 'multiple of 3', '66')
    assert resolved(stock(block=LIN2022), world_size=3).plan.stages[0].shape.clips == 12


def test_a_file_without_the_block() -> None:
    (problem,) = problems_of(stock())
    assert str(problem).startswith('multigrid: options.yml has no such section')
    assert 'preset: lin2022' in problem.remedy


@pytest.mark.parametrize(
    ('text', 'what'),
    [
        ('', 'no options in it'),
        ('- a\n- b\n', 'no options in it'),
        ('name: [1, 2\ntrain: 3\n', 'line 2, column'),
        ('name: {a\n', 'line '),
        ('name: a: b\n', 'line 1, column'),
        ('\tname: a\n', 'line 1'),
        ('a: 1\n--- \nb: 2\n', 'line '),
        ('a: 2024-13-01\n', 'month must be in 1..12'),
        ('a: !!int ""\n', 'string index out of range'),
        ('a: !!bool maybe\n', 'maybe'),
        ('a: !!python/object:os.system {}\n', 'could not determine a constructor'),
        ('a: ' + 5000 * '1' + '\n', 'integer string conversion'),
        ('a: *b\n', 'undefined alias'),
        ('a: "\x00"\n', 'control characters'),
    ],
)
def test_a_file_that_is_not_yaml(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / 'x.yml'
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_options(path)
    (problem,) = caught.value.problems
    assert str(problem).startswith(f'-opt {path}')
    assert what in str(problem).partition('\n')[0]
    assert all(problem)
    assert len(str(problem).splitlines()) == 3


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / 'x.yml'
    path.write_bytes(b'name: \xff\xfe\n')
    with pytest.raises(ConfigError, match="can't decode"):
        load_options(path)


@pytest.mark.parametrize('name', ['missing.yml', '.'])
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_options(tmp_path / name)
    assert str(caught.value.problems[0]).startswith(f'-opt {tmp_path / name}: ')

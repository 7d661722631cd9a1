"""Options that only the host reads: refused with option and value, in the same error as all other mistakes."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from mg_basicsr.config.host_options import KEYS, check_host_options
from mg_basicsr.parsing.problems import Problems
from tests.helpers.problems import problems_of
from tests.helpers.project import BLOCK, OPTIONS
from tests.helpers.stock_options import REMOVED, change, stock


def whole(**changes: Any) -> dict[str, Any]:
    """A whole file with other values (`__` for a dot)."""
    options = {**copy.deepcopy(OPTIONS), 'multigrid': dict(BLOCK)}
    roots = {'dataroot_gt': 'GT', 'dataroot_lq': 'LQ'}
    options['datasets']['train'] |= {**roots, 'meta_info_file': 'meta.txt'}
    options['datasets']['val'] |= roots
    change(options, {path.replace('__', '.'): value for path, value in changes.items()})
    return options


def found(options: dict[str, Any], must_be_whole: bool = False) -> dict[str, str]:
    problems = Problems()
    check_host_options(options, problems, must_be_whole)
    return {problem.option: str(problem) for problem in problems.found}


def test_a_whole_file_has_no_problem() -> None:
    assert found(whole()) == {}


@pytest.mark.parametrize('key', [key for key in KEYS if '*' not in key.place], ids=lambda key: key.place)
def test_each_key_absent_null_and_of_another_type(key: Any) -> None:
    place = key.place.replace('.', '__')
    parents = {'logger.wandb.': {'project': None, 'resume_id': None}}
    for presence, value in (('needed', REMOVED), ('nullable', None), ('', object())):
        options = whole(logger__wandb=parents['logger.wandb.'])
        *sections, last = place.split('__')
        target = options
        for section in sections:
            target = target[section]
        target[last] = value
        if value is REMOVED:
            del target[last]
        expected = key.presence == presence if presence == 'needed' else key.presence != presence
        assert (key.place in found(options, must_be_whole=True)) is expected, (key.place, presence)


@pytest.mark.parametrize(
    ('changes', 'option', 'value'),
    [
        ({'logger__print_freq': 0}, 'logger.print_freq', '0'),
        ({'val__val_freq': -1}, 'val.val_freq', '-1'),
        ({'val__metrics__psnr__better': 'up'}, 'val.metrics.psnr.better', 'up'),
        ({'val__metrics__psnr__crop_border': -3}, 'val.metrics.psnr.crop_border', '-3'),
        ({'val__metrics__psnr__test_y_channel': 'no'}, 'val.metrics.psnr.test_y_channel', 'no'),
        ({'datasets__val__cache_data': 'no'}, 'datasets.val.cache_data', 'no'),
        ({'datasets__test': {'name': 'a', 'type': 'b'}}, 'datasets.test', 'no such phase'),
        ({'datasets__train__prefetch_mode': 'cuda'}, 'datasets.train.pin_memory', '~ with prefetch_mode: cuda'),
        ({'logger__wandb': {'project': 'p'}}, 'logger.use_tb_logger', 'project: p'),
        ({'path__root': None}, 'path.root', '~'),
        ({'train__ema_decay': 1.5}, 'train.ema_decay', '1.5'),
        ({'num_gpu': 'all'}, 'num_gpu', 'all'),
    ],
)
def test_values(changes: dict[str, Any], option: str, value: str) -> None:
    problems = found(whole(**changes))
    assert list(problems) == [option] and value in problems[option].splitlines()[0]


def test_an_excerpt_may_lack_what_only_the_host_needs() -> None:
    excerpt = stock(block=BLOCK)
    assert found(excerpt) == {}
    assert {'network_g', 'path', 'logger'} <= found(excerpt, must_be_whole=True).keys()
    excerpt['logger'] = {'print_freq': 'often'}
    assert list(found(excerpt)) == ['logger.print_freq']


def test_mistakes_of_every_part_at_once() -> None:
    """Values, relations of good values, and the host's options, in one error; nothing that follows from a mistake."""
    options = whole(
        multigrid={**BLOCK, 'spatial': [128, 1.0], 'temporal': 'short', 'tempral': [1]},
        train__fix_flow=10**6,
        logger__print_freq=REMOVED,
        val__save_img='yes',
        find_unused_parameters=False,
    )
    assert {problem.option for problem in problems_of(options, world_size=2)} == {
        'multigrid.tempral', 'multigrid.temporal', 'multigrid.spatial', 'logger.print_freq', 'val.save_img',
        'find_unused_parameters',
    }  # fmt: skip


def test_relations_to_a_bad_value_are_left_out() -> None:
    changes = {'datasets.train.gt_size': 'large', 'train.fix_flow': 10**7}
    problems = problems_of(stock(block={**BLOCK, 'spatial': [1000]}, changes=changes))
    assert [problem.option for problem in problems] == ['datasets.train.gt_size']
    block = {**BLOCK, 'base_batch_size': 'many', 'batch_size': 64}
    assert [problem.option for problem in problems_of(stock(block=block))] == ['multigrid.base_batch_size']

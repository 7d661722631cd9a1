"""Keys that are meant to be the block are errors, whatever else the file has; other names are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mg_basicsr.errors import ConfigError
from mg_basicsr.parsing.near_misses import refuse_near_misses
from mg_basicsr.parsing.options_file import load_options

BLOCK = {'preset': 'lin2022'}


def refused(options: dict[str, Any]) -> list[str]:
    try:
        refuse_near_misses(options)
    except ConfigError as error:
        assert all(all(problem) for problem in error.problems)
        return [problem.option for problem in error.problems]
    return []


@pytest.mark.parametrize('with_block', [False, True])
@pytest.mark.parametrize(
    'key',
    [
        *('multigird', 'Multigrid', 'MULTIGRID', 'multi_grid', 'multi-grid', 'multi grid', 'multigrid_', ' multigrid'),
        *('mutligrid', 'multgrid', 'multigrids', 'multigri', 'ultigrid', 'multigrid_old', 'my_multigrid'),
        *('multigrid\u200b', 'mult\u0456grid', '\uff4dultigrid', 'multigrid:'),
    ],
)
def test_misspelled(key: str, with_block: bool) -> None:
    options = {'name': 'x', key: BLOCK, **({'multigrid': BLOCK} if with_block else {})}
    assert refused(options) == [key]


@pytest.mark.parametrize(
    'key', ['multi_gpu', 'multiscale', 'grid', 'multi', 'multi_step', 'grid_size', 'name', 'migration', 3, None, True]
)
def test_other_names(key: Any) -> None:
    assert refused({key: BLOCK, 'multigrid': BLOCK}) == []


@pytest.mark.parametrize(
    ('options', 'path'),
    [
        ({'train': {'multigrid': BLOCK}}, 'train.multigrid'),
        ({'train': {'multigrid': None, 'preset': 'lin2022'}}, 'train.multigrid'),
        ({'train': {'multigrid': 'lin2022'}}, 'train.multigrid'),
        ({'train': {'multi_grid': BLOCK}}, 'train.multi_grid'),
        ({'datasets': {'multigrid': BLOCK}}, 'datasets.multigrid'),
        ({'datasets': {'train': {'Multigrid': BLOCK}}}, 'datasets.train.Multigrid'),
        ({'datasets': [{'multigrid': BLOCK}]}, 'datasets[0].multigrid'),
        ({'logger': {'multigrid': BLOCK}, 'multigrid': BLOCK}, 'logger.multigrid'),
    ],
)
def test_another_depth(options: dict[str, Any], path: str) -> None:
    assert refused(options) == [path]


@pytest.mark.parametrize(
    'options',
    [
        {'network_multigrid': {'type': 'X'}},
        {'multigrid_levels': 3},
        {'multi_grid': [1, 2, 4]},
        {'train': {'multigrid_loss': {'type': 'L1Loss', 'loss_weight': 1.0}}},
        {'network_g': {'multigrid': 'sum'}},
        {'network_g': {'multigrid': {'levels': 3}}},
        {'train': {'multigrid_loss': None, 'multigrid_mode': 'sum', 'multigrid_sizes': []}},
        {'train': {'multi_grid': [1, 2], 'multigrid': True}},
        {'description': 'no multigrid: trained as it is', 'note': 'preset: none'},
    ],
)
def test_options_of_a_repository(options: dict[str, Any]) -> None:
    assert refused(options) == []


@pytest.mark.parametrize(
    ('text', 'option'),
    [
        ('train:\n  multigrid: {preset: lin2022}\ntrain: {total_iter: 3}\n', 'train.multigrid'),
        ('multigird: {preset: lin2022}\nmultigird: 3\n', 'multigird'),
        ('multigird:\n- preset: lin2022\n', 'multigird'),
        ('mg_basicsr:\n  preset: lin2022\n', 'mg_basicsr'),
        ('multigrid.preset: lin2022\n', 'multigrid.preset'),
        ('multigrid:preset: lin2022\n', 'multigrid:preset'),
    ],
)
def test_forms_of_a_file(tmp_path: Path, text: str, option: str) -> None:
    (tmp_path / 'x.yml').write_text('name: x\n' + text)
    with pytest.raises(ConfigError) as caught:
        load_options(tmp_path / 'x.yml')
    assert [problem.option for problem in caught.value.problems] == [option]


@pytest.mark.parametrize('entry', ['multigird:preset=lin2022', 'Multigrid:preset=lin2022', 'train:multigrid:preset=x'])
def test_on_the_command_line(tmp_path: Path, entry: str) -> None:
    (tmp_path / 'x.yml').write_text('train: {total_iter: 3}\n')
    with pytest.raises(ConfigError, match='did you mean multigrid:preset='):
        load_options(tmp_path / 'x.yml', [entry])


def test_an_option_of_a_network_is_none() -> None:
    """DeepLab's heads have one of this name."""
    assert refused({'network_g': {'multi_grid': [1, 2, 4], 'multigrid': True}}) == []

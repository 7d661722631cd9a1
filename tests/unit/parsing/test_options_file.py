"""Reading an options file and `--force_yml`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mg_basicsr.errors import ConfigError
from mg_basicsr.parsing.options_file import apply_overrides, load_options


def test_a_file_is_read_as_it_stands(tmp_path: Path) -> None:
    path = tmp_path / 'x.yml'
    path.write_text('name: größe\ntrain:\n  lr: 2.0e-4\n', encoding='utf-8')
    file = load_options(path)
    assert file.options == {'name': 'größe', 'train': {'lr': 2e-4}}
    assert not file.has_block


def test_a_byte_order_mark_is_not_part_of_the_first_key(tmp_path: Path) -> None:
    path = tmp_path / 'x.yml'
    path.write_text('multigrid: {preset: lin2022}\n', encoding='utf-8-sig')
    assert load_options(path).has_block


@pytest.mark.parametrize(
    ('entry', 'expected'),
    [
        ('name=b', {'name': 'b', 'train': {'optim_g': {'lr': 1}}}),
        ('train:optim_g:lr=2.0e-4', {'name': 'a', 'train': {'optim_g': {'lr': 2e-4}}}),
        ('train:optim_g:lr=none', {'name': 'a', 'train': {'optim_g': {'lr': None}}}),
        ('train:optim_g:lr=~', {'name': 'a', 'train': {'optim_g': {'lr': None}}}),
        ('train:total_iter=300', {'name': 'a', 'train': {'optim_g': {'lr': 1}, 'total_iter': 300}}),
        ('train:x=[1, 2]', {'name': 'a', 'train': {'optim_g': {'lr': 1}, 'x': [1, 2]}}),
        ('train:x=true', {'name': 'a', 'train': {'optim_g': {'lr': 1}, 'x': True}}),
        ('train:x=a=b', {'name': 'a', 'train': {'optim_g': {'lr': 1}, 'x': 'a=b'}}),
        ('train:x=[1', {'name': 'a', 'train': {'optim_g': {'lr': 1}, 'x': '[1'}}),  # not YAML: text
        ('train:x=2024-13-01', {'name': 'a', 'train': {'optim_g': {'lr': 1}, 'x': '2024-13-01'}}),
        (
            'multigrid:preset=lin2022',
            {'name': 'a', 'train': {'optim_g': {'lr': 1}}, 'multigrid': {'preset': 'lin2022'}},
        ),
    ],
)
def test_overrides(entry: str, expected: dict[str, Any]) -> None:
    options: dict[str, Any] = {'name': 'a', 'train': {'optim_g': {'lr': 1}}}
    apply_overrides(options, [entry])
    assert options == expected


@pytest.mark.parametrize(
    ('entry', 'what'),
    [
        ('train:lr', 'no key and value'),
        ('=3', 'no key and value'),
        ('val:freq=3', 'no section val'),
        ('train:optim_d:lr=3', 'no section train.optim_d'),
        ('name:x=3', 'no section name'),
        ('name:x:y=3', 'no section name.x'),
    ],
)
def test_overrides_that_fit_nowhere(entry: str, what: str) -> None:
    options: dict[str, Any] = {'name': 'a', 'train': {'optim_g': {'lr': 1}}}
    with pytest.raises(ConfigError) as caught:
        apply_overrides(options, [entry])
    (problem,) = caught.value.problems
    assert str(problem).startswith(f'--force_yml {entry}: ')
    assert what in str(problem).partition('\n')[0]
    assert all(problem)

"""Which grid a run has: what the block asks for, as far as the data can give it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mg_basicsr.config.block import Block
from mg_basicsr.config.resolve import resolve
from mg_basicsr.data.store.format import Header
from mg_basicsr.errors import ConfigError
from mg_basicsr.host.data.datasets import our_dataset
from mg_basicsr.host.data.grids import known_degradation, run_grid
from mg_basicsr.parsing.options_file import OptionsFile
from mg_basicsr.schedule.grid import OFF, Grid
from tests.helpers.frame_sets import SCALE, block, write_flows, write_reds


@pytest.fixture(scope='module')
def reds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_reds(tmp_path_factory.mktemp('reds'), {'001': 9})


def grid_of(root: Path, keys: dict[str, Any], preset: str = 'lin2022', **changes: Any) -> Grid:
    train_set = block(root, **{'type': 'REDSRecurrentDataset', 'batch_size_per_gpu': 1, **changes})
    scheduler = {'type': 'CosineAnnealingRestartLR', 'periods': [12], 'eta_min': 1e-7}
    options = {
        'scale': SCALE,
        'datasets': {'train': train_set},
        'train': {'total_iter': 12, 'optim_g': {'lr': 1e-3}, 'scheduler': scheduler},
        'multigrid': {'preset': 'lin2022', 'min_lq_size': 2, **keys},
    }
    file = OptionsFile(Path('options.yml'), (), options)
    settings = resolve(file)
    if preset != 'lin2022':
        settings = replace(settings, block=Block(preset, **keys))
    return run_grid(settings, our_dataset(settings.train_set, None, settings.block.degradation))


@pytest.mark.parametrize(
    ('preset', 'keys', 'expected'),
    [
        ('lin2022', {}, (False, False)),
        ('lin2022', {'temporal_stride': True}, (True, False)),
        ('lin2022', {'degradation': 'bicubic'}, (False, False)),
        ('lin2022', {'spatial_stride': True, 'degradation': 'bicubic'}, (False, True)),
        ('wu2020', {}, (True, False)),  # nothing tells how LQ was made
        ('wu2020', {'degradation': 'bd'}, (True, True)),
        ('wu2020', {'degradation': 'bd', 'spatial_stride': False}, (True, False)),
    ],
)
def test_grids(reds: Path, preset: str, keys: dict[str, Any], expected: tuple[bool, bool]) -> None:
    grid = grid_of(reds, keys, preset)
    assert (grid.temporal, grid.spatial) == expected
    assert (grid.frames, grid.size) == (5, 16)


def test_spans_without_a_known_degradation(reds: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        grid_of(reds, {'spatial_stride': True})
    (problem,) = caught.value.problems
    assert (
        'multigrid.spatial_stride: true' in str(problem).partition('\n')[0]
        and str(reds / 'LQ') in str(problem).partition('\n')[0]
    )
    assert 'bicubic or bd' in problem.allowed and 'multigrid.degradation' in problem.remedy


def test_spans_beside_flow(tmp_path: Path) -> None:
    root = write_reds(tmp_path, {'001': 9})
    write_flows(root, '001', 9, reach=2)
    changes = {'type': 'REDSDataset', 'dataroot_flow': str(root / 'flow')}
    with pytest.raises(ConfigError, match='dataroot_flow'):
        grid_of(root, {'spatial_stride': True, 'degradation': 'bicubic'}, **changes)
    assert not grid_of(root, {'degradation': 'bicubic'}, 'wu2020', **changes).spatial


@pytest.mark.parametrize('key', ['temporal_stride', 'spatial_stride'])
def test_somebody_elses_dataset(reds: Path, key: str) -> None:
    changes = {'type': 'VideoFolderOfMine'}
    with pytest.raises(ConfigError) as caught:
        grid_of(reds, {key: True, 'degradation': 'bicubic'}, **changes)
    (problem,) = caught.value.problems
    assert (
        str(problem).partition('\n')[0]
        == f'multigrid.{key}: true, but datasets.train.type VideoFolderOfMine reads its files by its own code'
    )
    assert problem.allowed and problem.remedy
    assert grid_of(reds, {}, 'wu2020', **changes) == OFF


@pytest.mark.parametrize(
    ('told', 'stored', 'known'),
    [
        (None, None, None),
        ('bd', None, 'bd'),
        (None, 'files', None),
        ('bicubic', 'files', 'bicubic'),
        (None, 'bd', 'bd'),
        ('bd', 'bd', 'bd'),
    ],
)
def test_known_degradations(told: str | None, stored: str | None, known: str | None) -> None:
    assert known_degradation(told, Header(4, degradation=stored) if stored else None) == known


def test_a_store_that_was_made_otherwise() -> None:
    with pytest.raises(ConfigError, match=r'multigrid\.degradation: bd, but .* made by bicubic'):
        known_degradation('bd', Header(4, degradation='bicubic'))

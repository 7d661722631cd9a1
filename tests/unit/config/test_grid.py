"""The keys of sampling grids: their defaults by preset, what is refused, and how they are printed."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from mg_basicsr.config.block import Block
from mg_basicsr.config.explicit_block import explicit_block
from mg_basicsr.config.grid import explicit_grid, wanted_grid
from mg_basicsr.errors import ConfigError
from mg_basicsr.schedule.grid import Grid
from tests.helpers.stock_options import PAPER, resolved, stock

BASE = resolved(stock(block=PAPER)).baseline


@pytest.mark.parametrize(
    ('preset', 'keys', 'temporal', 'spatial'),
    [
        ('lin2022', {}, False, False),
        ('lin2022', {'degradation': 'bicubic'}, False, False),
        ('lin2022', {'temporal_stride': True}, True, False),
        ('lin2022', {'spatial_stride': True}, False, True),
        ('stages', {}, False, False),
        ('progressive', {}, False, False),
        ('wu2020', {}, True, True),
        ('wu2020', {'temporal_stride': False}, False, True),
        ('wu2020', {'spatial_stride': False, 'degradation': 'bd'}, True, False),
    ],
)
def test_defaults_are_the_presets(preset: str, keys: dict[str, Any], temporal: bool, spatial: bool) -> None:
    assert wanted_grid(Block(preset, **keys), BASE) == Grid(15, 256, temporal, spatial)


@pytest.mark.parametrize(
    ('kind', 'keys', 'changes', 'what', 'allowed'),
    [
        ('reds', {'temporal_stride': 1}, {}, 'multigrid.temporal_stride: 1 is not allowed', 'true or false'),
        ('reds', {'spatial_stride': 'bicubic'}, {}, "multigrid.spatial_stride: 'bicubic'", 'true or false'),
        ('reds', {'degradation': 'area'}, {}, "multigrid.degradation: 'area'", 'bicubic | bd'),
        ('reds', {'degradation': 'bd'}, {'scale': 2}, 'multigrid.degradation: bd with scale: 2', 'bd with scale 4'),
        ('reds', {'degradation': 'bicubic'}, {'scale': 1}, 'bicubic with scale: 1', 'a scale above 1'),
        ('edvr', {'temporal_stride': True}, {}, 'multigrid.temporal_stride: true, but clips have 5 frames', 'shorter'),
    ],
)
def test_refused(kind: str, keys: dict[str, Any], changes: dict[str, Any], what: str, allowed: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolved(stock(kind, {'preset': 'lin2022', **keys}, changes))
    (problem,) = caught.value.problems
    assert what in str(problem) and allowed in problem.allowed and problem.remedy


@pytest.mark.parametrize(
    ('preset', 'keys', 'known', 'printed'),
    [
        ('lin2022', {}, True, {}),
        ('lin2022', {'temporal_stride': True, 'spatial_stride': True}, True, {}),  # there already
        ('wu2020', {}, False, {'temporal_stride': True}),
        ('wu2020', {}, True, {'temporal_stride': True, 'spatial_stride': True}),
        ('wu2020', {'degradation': 'bd'}, False, {'temporal_stride': True, 'spatial_stride': True}),
        ('wu2020', {'temporal_stride': False, 'spatial_stride': False}, True, {}),
    ],
)
def test_what_stages_need_to_be_told(preset: str, keys: dict[str, Any], known: bool, printed: dict[str, bool]) -> None:
    assert explicit_grid(Block(preset, **keys), BASE, known) == printed


def test_an_explicit_block_keeps_the_keys() -> None:
    keys = {'temporal_stride': True, 'spatial_stride': True, 'degradation': 'bd'}
    block = PAPER | keys
    text = explicit_block(block, resolved(stock(block=block)))
    printed = yaml.safe_load(text)['multigrid']
    assert keys.items() <= printed.items()
    again = resolved(stock(block=printed))
    assert wanted_grid(again.block, again.baseline) == Grid(15, 256, True, True)

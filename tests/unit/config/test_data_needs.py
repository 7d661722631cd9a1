"""Keys of the block that a training set can or cannot serve."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from mg_basicsr.config.explicit_block import explicit_block
from mg_basicsr.config.resolve import resolve
from mg_basicsr.errors import ConfigError
from mg_basicsr.parsing.options_file import OptionsFile
from tests.helpers.stock_options import stock

THEIRS = {'datasets.train.type': 'TheirDataset'}
STORE = {'datasets.train.io_backend': {'type': 'store', 'path': 'store'}}
FLOW = {'datasets.train.dataroot_flow': 'flow'}
BICUBIC = {'spatial_stride': True, 'degradation': 'bicubic'}


def refused(block: dict[str, Any], changes: dict[str, Any]) -> list[str]:
    options = stock(block={'preset': 'lin2022', **block}, changes=changes)
    try:
        resolve(OptionsFile(Path('x.yml'), (), options))
    except ConfigError as error:
        assert all(all(problem) for problem in error.problems)
        return [problem.option for problem in error.problems]
    return []


@pytest.mark.parametrize(
    ('block', 'changes', 'expected'),
    [
        ({}, THEIRS, []),
        ({'temporal_stride': False, 'spatial_stride': False}, THEIRS, []),
        ({'temporal_stride': True}, THEIRS, ['multigrid.temporal_stride']),
        ({'store': 's', **BICUBIC}, THEIRS, ['multigrid.store', 'multigrid.spatial_stride']),
        ({'temporal_stride': True, 'store': 's'}, {}, []),
        ({'spatial_stride': True}, {}, ['multigrid.spatial_stride']),
        (BICUBIC, {}, []),
        ({'spatial_stride': True, 'store': 's'}, {}, []),  # the store may say how LQ was made
        ({'spatial_stride': True}, STORE, []),
        (BICUBIC, FLOW, ['multigrid.spatial_stride']),
    ],
)
def test_needs(block: dict[str, Any], changes: dict[str, Any], expected: list[str]) -> None:
    assert refused(block, changes) == expected


def test_the_printed_block_of_an_adapted_set_can_be_pasted() -> None:
    """wu2020 has grids by default, which an adapted set does without."""
    block = {'preset': 'wu2020'}
    settings = resolve(OptionsFile(Path('x.yml'), (), stock(block=block, changes=THEIRS)))
    printed = yaml.safe_load(explicit_block(block, settings))['multigrid']
    assert 'temporal_stride' not in printed
    assert refused(printed, THEIRS) == []

"""The JSON schema accepts the options files that are shipped, and refuses what `plan` refuses of types and names."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from mg_basicsr.config.keys import readers
from mg_basicsr.config.presets.table import loaded
from mg_basicsr.config.schema import block_schema, file_schema
from mg_basicsr.errors import ConfigError
from tests.helpers.stock_options import resolved, stock

jsonschema = pytest.importorskip('jsonschema')
OPTIONS = Path(__file__).parents[3] / 'options'
BLOCKS: list[dict[str, Any]] = [
    {'preset': 'lin2022', 'spatial': [0.5, 1.0], 'small_lr_max': '2e-4', 'check': True, 'store': None},
    {'preset': 'wu2020', 'long_cycle': False, 'lr_steps': [100, 200], 'epoch_factor': 1.5},
    {'preset': 'progressive', 'gt_sizes': [128, 256], 'mini_batch_sizes': [4, 4], 'iters': [1, 1]},
    {'preset': 'stages', 'stages': [{'iters': 6000, 'lr': [1e-4, 0, 'constant']}]},
]
WRONG: list[Any] = [{'x': 1}, 'nonsense', [{}]]


def valid(options: Any) -> bool:
    return bool(jsonschema.Draft202012Validator(file_schema()).is_valid(options))


def planned(block: Any) -> bool:
    try:
        resolved(stock(block=block))
    except ConfigError:
        return False
    return True


def test_it_is_a_schema_with_every_key_described() -> None:
    jsonschema.Draft202012Validator.check_schema(file_schema())
    by_preset = dict(zip([preset.name for preset in loaded()], block_schema()['allOf'], strict=True))
    for preset in loaded():
        properties = by_preset[preset.name]['then']['properties']
        assert all(properties[name]['description'] and len(properties[name]) > 1 for name in readers(preset.block))


@pytest.mark.parametrize('path', sorted(OPTIONS.glob('*.yml')), ids=lambda path: path.stem)
def test_shipped_files(path: Path) -> None:
    assert valid(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize('block', BLOCKS, ids=lambda block: block['preset'])
def test_blocks_and_seeded_mistakes(block: dict[str, Any]) -> None:
    assert planned(block) and valid({'multigrid': block})
    for mistake in (
        {'typo': 1},
        {'preset': 'other'},
        {'precision': 'int8'},
        {'keep_last': 0},
        {'base_batch_size': 1.5},
    ):
        assert not planned(block | mistake) and not valid({'multigrid': block | mistake}), mistake
    for key in block:
        for value in WRONG:
            wrong = copy.deepcopy(block) | {key: value}
            assert planned(wrong) or not valid({'multigrid': wrong}), (key, value)
    assert not valid({'multigrid': {key: block[key] for key in block if key != 'preset'}})
    assert not valid({'Multi_Grid': block})

"""docs/options.md and the keys of the block: key by key, default by default, preset by preset."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from mg_basicsr.config.block import Block
from mg_basicsr.config.keys import readers
from mg_basicsr.config.presets.lin2022 import EXTRA_KEYS
from mg_basicsr.config.presets.stages import STAGE_KEYS, StageEntry
from mg_basicsr.config.presets.table import loaded
from mg_basicsr.parsing.problems import Problems
from tests.helpers.stock_options import described, stock

DOCS = Path(__file__).parents[3] / 'docs'
NAMES = [preset.name for preset in loaded()]
NEEDED = '(needed)'


class Row(NamedTuple):
    """A row of a table of keys: the presets of its section (none: all), and its cells."""

    presets: tuple[str, ...]
    of: str
    key: str
    default: str
    meaning: str

    @property
    def value(self) -> Any:
        """The default as a value of YAML; None where it is told in words."""
        code = re.fullmatch('`(.+)`', self.default)
        value = yaml.safe_load(code[1] if code else self.default)
        return value if code or isinstance(value, (bool, int, float)) else None


def rows() -> list[Row]:
    found: list[Row] = []
    presets: tuple[str, ...] = ()
    kind = ''
    for line in (DOCS / 'options.md').read_text().splitlines():
        if line.startswith('## '):
            presets = tuple(re.findall('`(.+?)`', line)) if 'Preset' in line else ()
        cells = [cell.strip() for cell in line.strip('|').split(' | ')]
        if not line.startswith('|'):
            kind = ''
        elif cells[1:] == ['default', 'meaning']:
            kind = cells[0]
        elif kind and len(cells) == 3:
            found.append(Row(presets, kind, cells[0].strip('`'), *cells[1:]))
    return found


ROWS = [row for row in rows() if row.of == 'key']
ENTRY_ROWS = [row for row in rows() if row.of == 'key of an entry']


def block_class(row: Row) -> type[Block]:
    return next((preset.block for preset in loaded() if preset.name in row.presets), Block)


def test_every_preset_is_described() -> None:
    row = next(row for row in ROWS if row.key == 'preset')
    assert re.findall('`(.+?)`: ', row.meaning) == NAMES
    table = next(line for line in (DOCS / 'presets.md').read_text().splitlines() if line.startswith('| |'))
    assert re.findall('`(.+?)`', table) == NAMES


def test_every_key_is_documented_once_and_every_documented_key_exists() -> None:
    documented = sorted(row.key for row in ROWS if not row.presets)
    assert documented == sorted(spec.name for spec in fields(Block))
    for preset in loaded():
        documented = sorted(row.key for row in ROWS if preset.name in row.presets)
        assert documented == sorted(readers(preset.block).keys() - readers(Block).keys()), preset.name
    assert sorted(row.key for row in ENTRY_ROWS) == sorted(STAGE_KEYS)
    extra = next(row for row in ROWS if row.key == 'extra')
    assert f'`{{{", ".join(EXTRA_KEYS)}}}`' in extra.meaning


@pytest.mark.parametrize('row', ROWS, ids=lambda row: '-'.join([*row.presets, row.key]))
def test_defaults(row: Row) -> None:
    """A default is a value, equal to the key's; or it depends on the file, is told in words, and the key's is None."""
    default = next(spec.default for spec in fields(block_class(row)) if spec.name == row.key)
    assert (default is MISSING) == (row.default == NEEDED)
    if row.value is None:
        assert default in (None, MISSING)
    elif default is not None:
        problems = Problems()
        parsed = readers(block_class(row))[row.key](row.key, row.value, problems)
        assert not problems.found
        if isinstance(default, tuple):  # sqrt(1/2) is documented with four digits
            assert parsed == pytest.approx(default, rel=1e-4)
        else:
            assert parsed == default


@pytest.mark.parametrize(
    ('preset', 'row'),
    [(name, row) for row in ROWS for name in row.presets if row.value is not None],
    ids=lambda value: value if isinstance(value, str) else value.key,
)
def test_the_default_written_out_plans_the_same(preset: str, row: Row) -> None:
    """For defaults that depend on the file too: what is documented is that of a recurrent network on REDS."""
    block = {'preset': preset}
    if preset == 'progressive':
        block |= {'gt_sizes': [128, 256], 'mini_batch_sizes': [8, 4], 'iters': [1, 1]}
    assert described(stock(block=block | {row.key: row.value})) == described(stock(block=block))


def test_defaults_of_an_entry() -> None:
    defaults = {spec.name: spec.default for spec in fields(StageEntry)}
    for row in ENTRY_ROWS:
        assert row.value is None
        assert (defaults[row.key] is MISSING) == (row.default == NEEDED), row.key
        assert defaults[row.key] in (MISSING, None, ())

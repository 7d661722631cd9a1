"""The matrix: its sets, and the table in docs/compatibility.md, which is that of the record."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from scripts.matrix.__main__ import RECORD, good
from scripts.matrix.sets import CLONE, EDGES, NEWEST_TORCH, SETS
from scripts.matrix.table import DOCUMENT, HEAD, table, with_table

ROOT = Path(__file__).parents[3]
FOUND = {
    'basicsr': 'basicsr==1.4.2',
    'versions': {'python': '3.11.7', 'torch': '2.14.1', 'numpy': '2.4.6', 'opencv-python': '5.0.0.93'},
    'tests': {'passed': 7, 'skipped': 1},
    'training': {'resumed': True},
}


def test_the_table_is_that_of_the_record() -> None:
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    assert set(record) <= set(SETS)
    assert with_table(DOCUMENT.read_text(), table(record)) == DOCUMENT.read_text()


def test_lines() -> None:
    failed = {**FOUND, 'training': {'error': 'Traceback\nValueError: a | b'}}
    head, _, first, second, third = table({'1.4.2': FOUND, '1.3': failed, 'clone': {'error': 'no clone'}}).splitlines()
    assert head == HEAD and {line.count(' | ') for line in (head, first, second)} == {8}
    assert first.endswith('| none | 7 passed, 1 skipped | same weights |')
    assert second.endswith('| **fails**: Traceback ValueError: a / b |') and third.endswith('not run: no clone |')


@pytest.mark.parametrize(
    ('change', 'expected'),
    [
        ({}, True),
        ({'tests': {'passed': 7, 'failed': 1}}, False),
        ({'tests': {'error': 1}}, False),
        ({'training': {'resumed': False}}, False),
        ({'training': {'error': 'x'}}, False),
    ],
)
def test_good(change: dict[str, object], expected: bool) -> None:
    assert good({**FOUND, **change}) is expected
    assert not good({'error': 'no uv'})


def test_the_sets_cover_what_is_promised() -> None:
    """Every Python of pyproject.toml, and every distribution; CI takes the ends."""
    pythons = re.findall(r'Programming Language :: Python :: (3\.\d+)', (ROOT / 'pyproject.toml').read_text())
    assert {found.python for found in SETS.values()} == set(pythons)
    names = {found.basicsr.partition('==')[0] for found in SETS.values()}
    assert names == {'basicsr', 'new-basicsr', 'basicsr-fixed', CLONE}
    assert {SETS[name].python for name in EDGES} == {pythons[0], pythons[-1]}


def test_the_newest_torch_is_that_of_the_environment() -> None:
    assert f'TORCH_PAIR=({" ".join(NEWEST_TORCH)})' in (ROOT / 'scripts/setup_env.sh').read_text()

"""A preset is known by its own module alone, and every key has a reader."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

import mg_basicsr
from mg_basicsr.config.block import Block
from mg_basicsr.config.keys import readers
from mg_basicsr.config.presets import cycles
from mg_basicsr.config.presets.table import OWN, find, loaded, names

PACKAGE = Path(mg_basicsr.__file__).parent
NAMES = [preset.name for preset in loaded()]
SOURCES = {path: path.read_text() for path in PACKAGE.rglob('*.py')}

# Keys that have one value, for which there is nothing to decide.
OF_ONE_VALUE = {('wu2020', 'lr_schedule'), ('progressive', 'lr_schedule')}


def strings(node: ast.AST) -> set[object]:
    return {part.value for part in ast.walk(node) if isinstance(part, ast.Constant)}


def decisions(source: str) -> Iterator[tuple[int, str]]:
    """Where code decides by the name of a preset: comparisons, `match`, and tables with names of presets as keys."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare):
            told = strings(node)
            if 'preset' not in ast.unparse(node):
                told -= {'stages'}  # a key of plans too
        elif isinstance(node, ast.match_case):
            told = strings(node.pattern)
        elif isinstance(node, ast.Dict):
            keys = set().union(*(strings(key) for key in node.keys if key))
            told = keys if len(keys & set(NAMES)) > 1 else set()
        else:
            continue
        yield from ((getattr(node, 'lineno', 0), name) for name in NAMES if name in told)


@pytest.mark.parametrize(
    ('source', 'found'),
    [
        ("if block.preset == 'lin2022': pass", ['lin2022']),
        ("x = block.preset in ('wu2020', 'stages')", ['wu2020', 'stages']),
        ("match preset:\n    case 'progressive': pass", ['progressive']),
        ("SPECS = {'lin2022': 1, 'wu2020': 2}", ['lin2022', 'wu2020']),
        ("keys = [key for key in plan if key != 'stages']", []),
        ("facts = {'stages': [], 'samples': 3}; block = {'preset': 'lin2022'}", []),
    ],
)
def test_decisions_are_found(source: str, found: list[str]) -> None:
    assert [name for _, name in decisions(source)] == found


def test_nothing_decides_by_the_name_of_a_preset() -> None:
    """Not even the preset itself: what it does is in its methods."""
    found = [
        f'{path.relative_to(PACKAGE)}, line {line}: {name}'
        for path, source in SOURCES.items()
        for line, name in decisions(source)
    ]
    assert not found, '\n'.join(found)


def test_a_preset_is_a_module_and_a_line_of_the_table() -> None:
    modules = [type(preset).__module__ for preset in loaded()]
    assert [f'{module}:PRESET' for module in modules] == list(OWN)
    assert len(set(modules)) == len(modules)
    assert [find(name) for name in names()[: len(NAMES)]] == list(loaded())


def test_a_preset_has_a_line_about_it() -> None:
    assert all(preset.summary and '\n' not in preset.summary for preset in loaded())


def read_in(source: str) -> set[str]:
    """Keys that are read from a `block`, or from the `block` of something."""
    return {
        node.attr
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute)
        and (node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, 'id', '')) == 'block'
    }


def test_every_key_is_read() -> None:
    everywhere = set().union(*map(read_in, SOURCES.values()))
    assert not readers(Block).keys() - everywhere
    for preset in loaded():
        own = readers(preset.block).keys() - readers(Block).keys()
        source = inspect.getsource(inspect.getmodule(preset) or cycles)
        shared = inspect.getsource(cycles) if 'presets.cycles import' in source else ''
        read = read_in(source) | read_in(shared)
        unread = {(preset.name, key) for key in own - read}
        assert unread <= OF_ONE_VALUE

"""YAML that is endless, large or ambiguous."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml

from mg_basicsr.errors import ConfigError
from mg_basicsr.parsing.options_file import load_options
from mg_basicsr.parsing.yaml_text import RepeatedKey, parse_document, parse_yaml

BLOCK = 'multigrid: {preset: lin2022}\n'


def nested(levels: int, width: int, form: str) -> str:
    """Aliases of aliases: `width ** levels` values in a few kilobytes."""
    lines = ['a0: &a0 [x]']
    for level in range(1, levels):
        items = [f'*a{level - 1}'] * width
        if form == 'section':
            items = [f'k{n}: {item}' for n, item in enumerate(items)]
        opened, closed = '[]' if form == 'list' else '{}'
        lines.append(f'a{level}: &a{level} {opened}{", ".join(items)}{closed}')
    return '\n'.join(lines)


@pytest.mark.parametrize('form', ['list', 'section'])
@pytest.mark.parametrize('levels', [8, 30])
def test_nested_aliases_are_refused_at_once(levels: int, form: str) -> None:
    start = time.process_time()
    with pytest.raises(yaml.YAMLError, match='more than 100,000 values'):
        parse_yaml(nested(levels, 9, form))
    assert time.process_time() - start < 2


def test_a_few_aliases_are_allowed() -> None:
    assert parse_yaml(nested(3, 2, 'list'))['a2'] == [[['x'], ['x']], [['x'], ['x']]]


@pytest.mark.parametrize('text', ['a: &a [*a]', 'a: &a {b: *a}', '&a [b, [*a]]', 'a: &a {<<: *a}'])
def test_an_alias_of_itself(text: str) -> None:
    with pytest.raises(yaml.YAMLError, match=r'alias of a value within this value|recursive'):
        parse_yaml(text)


def test_a_nul_in_a_text() -> None:
    with pytest.raises(yaml.YAMLError, match='NUL'):
        parse_yaml('path: {root: "a\\0b"}')


@pytest.mark.parametrize(
    ('text', 'repeated'),
    [
        ('a: 1\nb: 2\na: 3', [RepeatedKey('a', 1, 3)]),
        ('a: 1\n"a": 2', [RepeatedKey('a', 1, 2)]),
        ('t:\n  a: 1\n  b: [{c: 1}, {c: 1, c: 2}]', [RepeatedKey('t.b[1].c', 3, 3)]),
        ('t: &t {a: 1}\nu: {<<: *t, a: 2}', []),
        ('1: a\n"1": b', []),
    ],
)
def test_keys_that_stand_twice(text: str, repeated: list[RepeatedKey]) -> None:
    assert list(parse_document(text).repeated) == repeated


def test_files_with_such_keys(tmp_path: Path) -> None:
    """Two blocks, or another key twice: an error that names the lines; a file without a block is BasicSR's alone."""
    path = tmp_path / 'x.yml'
    for text, line, key in ((BLOCK + 'name: x\n' + BLOCK, 3, 'multigrid'), (BLOCK + 't: {a: 1}\nt: {}\n', 3, 't')):
        path.write_text(text)
        with pytest.raises(ConfigError, match=rf'x.yml, line {line}: {key} a second time \(first in line'):
            load_options(path)
    path.write_text('t: {a: 1}\nt: {}\n')
    assert load_options(path).options == {'t': {}}

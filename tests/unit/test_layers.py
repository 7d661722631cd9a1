"""The import directions between the package's folders, and the size of its files."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).parents[2] / 'mg_basicsr'
MAX_LINES = 400

# What each layer may import of the package besides itself. `package` is mg_basicsr/__init__.py, the user's one line at
# the top of a train.py; `_version` and `__main__` are the files of these names.
GROUND = {'_version', 'errors', 'atomic_files', 'patching'}
READING = GROUND | {'parsing', 'schedule', 'dataset_types', 'train_set'}
WORKING = READING | {'config', 'data', 'training', 'report'}
MAY_IMPORT = {
    '_version': set[str](),
    'errors': set[str](),
    'atomic_files': set[str](),
    'patching': {'errors'},
    'parsing': GROUND,
    'schedule': GROUND,
    'dataset_types': GROUND,
    'train_set': GROUND | {'parsing', 'dataset_types'},
    'config': READING,
    'data': READING,
    'training': READING,
    'report': READING,
    'demo': WORKING,
    'host': WORKING | {'demo'},
    'cli': WORKING | {'demo', 'host'},
    'package': {'_version', 'errors', 'schedule', 'train_set', 'config', 'data', 'host'},
    '__main__': {'cli'},
}
STANDARD_LIBRARY_ONLY = {'_version', 'errors', 'schedule', 'dataset_types', 'atomic_files', 'patching', '__main__'}
WITHOUT_TORCH = {'parsing', 'dataset_types', 'train_set', 'config'}
IN_TEXT = re.compile(r'(mg_basicsr(?:\.\w+)+):\w+')  # 'module:attribute', imported when it is needed
NAMES_ONLY = {'mg_basicsr.dataset_types'}  # names classes in this form, which host/data imports


class Import(NamedTuple):
    """One import statement: the full module name, the line, and whether it runs when the file is imported."""

    module: str
    line: int
    at_import: bool


def layer_of(module: str) -> str:
    """'mg_basicsr.data.sampling.sampler' -> 'data'; 'mg_basicsr' itself -> 'package'."""
    parts = module.split('.')
    return parts[1] if len(parts) > 1 else 'package'


def module_name(path: Path) -> str:
    parts = ('mg_basicsr', *path.relative_to(PACKAGE).with_suffix('').parts)
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


def targets(node: ast.AST, package: str, in_text: bool = True) -> Iterator[str]:
    """The modules that one statement or call imports. `package` is what relative imports start from."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        above = package.split('.')[: len(package.split('.')) - node.level + 1] if node.level else []
        origin = '.'.join([*above, *([node.module] if node.module else [])])
        # `from mg_basicsr import data` imports a layer, `from mg_basicsr.data import x` is told by its origin.
        yield from ((f'{origin}.{alias.name}' for alias in node.names) if origin == 'mg_basicsr' else [origin])
    elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, 'id', '')
        if name in ('import_module', '__import__') and isinstance(node.args[0].value, str):
            yield node.args[0].value
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and in_text:
        yield from IN_TEXT.findall(node.value) if IN_TEXT.fullmatch(node.value) else []


def imports_of(source: str, package: str, in_text: bool = True) -> Iterator[Import]:
    """Every import in a file, inside functions and `if` blocks too."""

    def walk(node: ast.AST, at_import: bool) -> Iterator[Import]:
        found = targets(node, package, in_text)
        yield from (Import(target, getattr(node, 'lineno', 0), at_import) for target in found)
        inside = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        type_checking = isinstance(node, ast.If) and 'TYPE_CHECKING' in ast.unparse(node.test)
        for child in ast.iter_child_nodes(node):
            yield from walk(child, at_import and not inside and not type_checking)

    return walk(ast.parse(source), True)


def violations(source: str, module: str, is_package: bool = False) -> list[str]:
    """What a file imports and should not, one line each."""
    layer = layer_of(module)
    found = []
    for target, line, at_import in imports_of(
        source, module if is_package else module.rpartition('.')[0], module not in NAMES_ONLY
    ):
        top = target.partition('.')[0]
        if top == 'mg_basicsr':
            allowed = layer_of(target) in MAY_IMPORT[layer] | {layer}
        elif top == 'basicsr':
            allowed = layer == 'host'
        elif layer in STANDARD_LIBRARY_ONLY:
            allowed = top in sys.stdlib_module_names
        elif top in ('torch', 'torchvision'):
            # `plan` answers at once and `import mg_basicsr` returns at once: neither waits for torch.
            allowed = layer not in WITHOUT_TORCH and not (layer in ('cli', 'package') and at_import)
        else:
            allowed = True
        if not allowed:
            found.append(f'{module}, line {line}: {layer} must not import {target}')
    return found


FILES = sorted(PACKAGE.rglob('*.py'))


def modules_imported(source: str, module: str, known: set[str], is_package: bool = False) -> set[str]:
    """Modules of the package that a file imports at any time: inside functions too, but not for type checkers alone."""
    package = module if is_package else module.rpartition('.')[0]

    def walk(node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.If) and 'TYPE_CHECKING' in ast.unparse(node.test):
            children: list[ast.AST] = [*node.orelse]
        else:
            origins = list(targets(node, package, module not in NAMES_ONLY))
            names = [alias.name for alias in node.names] if isinstance(node, ast.ImportFrom) else []
            submodules = {f'{origin}.{name}' for origin in origins for name in names} & known
            # `from mg_basicsr.host import model` imports host/model.py, and of host/__init__.py nothing
            yield from submodules if len(submodules) == len(names) > 0 else {*submodules, *origins}
            children = list(ast.iter_child_nodes(node))
        for child in children:
            yield from walk(child)

    return set(walk(ast.parse(source))) & known - {module}


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    """A circle of imports, each module importing the next; empty if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def test_every_file_belongs_to_a_known_layer() -> None:
    assert FILES
    assert {layer_of(module_name(path)) for path in FILES} <= set(MAY_IMPORT)


def test_imports_point_down() -> None:
    found = [
        line
        for path in FILES
        for line in violations(path.read_text(), module_name(path), is_package=path.name == '__init__.py')
    ]
    assert not found, '\n'.join(found)


def test_no_circle_of_imports() -> None:
    sources = {module_name(path): path for path in FILES}
    graph = {
        name: modules_imported(path.read_text(), name, set(sources), path.name == '__init__.py')
        for name, path in sources.items()
    }
    assert ' imports '.join(circle(graph)) == ''


def test_no_file_is_too_long() -> None:
    lengths = {str(path.relative_to(PACKAGE)): len(path.read_text().splitlines()) for path in FILES}
    assert not {name: length for name, length in lengths.items() if length > MAX_LINES}


@pytest.mark.parametrize(
    ('module', 'source', 'allowed'),
    [
        ('mg_basicsr.schedule.plan', 'import math', True),
        ('mg_basicsr.schedule.plan', 'from mg_basicsr.schedule.shape import BatchShape', True),
        ('mg_basicsr.schedule.plan', 'from .shape import BatchShape', True),
        ('mg_basicsr.schedule.plan', 'from ..errors import ConfigError', True),
        ('mg_basicsr.schedule.plan', 'import numpy', False),
        ('mg_basicsr.schedule.plan', 'from mg_basicsr.config import block', False),
        ('mg_basicsr.schedule.plan', 'from ..config import block', False),
        ('mg_basicsr.schedule.plan', 'from mg_basicsr import config', False),
        ('mg_basicsr.data.sampling.sampler', 'import numpy', True),
        ('mg_basicsr.data.sampling.sampler', 'import torch', True),
        ('mg_basicsr.data.sampling.sampler', 'from mg_basicsr.training import seeding', False),
        ('mg_basicsr.data.sampling.sampler', 'def f():\n    from mg_basicsr.host import hooks', False),
        ('mg_basicsr.data.sampling.sampler', 'def f():\n    import basicsr.utils', False),
        ('mg_basicsr.data.sampling.sampler', 'if TYPE_CHECKING:\n    from basicsr.data import x', False),
        ('mg_basicsr.data.sampling.sampler', "importlib.import_module('basicsr.data')", False),
        ('mg_basicsr.config.block', 'def f():\n    import torch', False),
        ('mg_basicsr.host.patches.hooks', 'from basicsr.train import train_pipeline', True),
        ('mg_basicsr.host.patches.hooks', 'from mg_basicsr.cli.main import main', False),
        ('mg_basicsr.cli.main', 'import torch', False),
        ('mg_basicsr.cli.main', 'def train():\n    import torch', True),
        ('mg_basicsr.cli.main', 'def train():\n    import basicsr', False),
        ('mg_basicsr.__main__', 'from mg_basicsr.cli.main import main', True),
        ('mg_basicsr.errors', 'from mg_basicsr.schedule import plan', False),
        ('mg_basicsr', "TABLE = {'plan': 'mg_basicsr.config.planning:plan'}", True),
        ('mg_basicsr', "TABLE = {'plan': 'mg_basicsr.cli.plan:run'}", False),
    ],
)
def test_rules(module: str, source: str, allowed: bool) -> None:
    assert (violations(source, module) == []) is allowed


@pytest.mark.parametrize(
    ('source', 'expected'),
    [
        ('from mg_basicsr.host import b', {'mg_basicsr.host.b'}),
        ('from mg_basicsr.host import b, thing', {'mg_basicsr.host', 'mg_basicsr.host.b'}),
        ('from mg_basicsr.host.b import thing', {'mg_basicsr.host.b'}),
        ('from . import b', {'mg_basicsr.host.b'}),
        ('from .b import thing', {'mg_basicsr.host.b'}),
        ('import mg_basicsr.host.b as other', {'mg_basicsr.host.b'}),
        ('def f():\n    from mg_basicsr.host.b import thing', {'mg_basicsr.host.b'}),
        ("TABLE = {'name': 'mg_basicsr.host.b:thing'}", {'mg_basicsr.host.b'}),
        ("importlib.import_module('mg_basicsr.host.b')", {'mg_basicsr.host.b'}),
        ('if TYPE_CHECKING:\n    from mg_basicsr.host.b import thing', set()),
        ('import json', set()),
    ],
)
def test_modules_imported(source: str, expected: set[str]) -> None:
    known = {'mg_basicsr', 'mg_basicsr.host', 'mg_basicsr.host.a', 'mg_basicsr.host.b'}
    assert modules_imported(source, 'mg_basicsr.host.a', known) == expected


def test_circles_are_found() -> None:
    assert circle({'a': {'b', 'c'}, 'b': {'c'}, 'c': set()}) == []
    assert len(circle({'a': {'b'}, 'b': {'c'}, 'c': {'a'}})) == 4


def test_relative_imports_of_a_package_start_at_itself() -> None:
    assert violations('from .host import hooks', 'mg_basicsr', is_package=True) == []
    assert violations('from ..config import block', 'mg_basicsr.schedule', is_package=True) != []

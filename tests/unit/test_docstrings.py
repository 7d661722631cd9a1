"""Docstrings: what the linter does not ask for (sections), and words that they and messages are not to use.

Whether everything public has a docstring, how it begins, and whether its sections are complete is checked by the linter
(rules D and DOC in pyproject.toml).
"""

from __future__ import annotations

import ast
import doctest
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / 'mg_basicsr'
MOST_PARAMETERS = 1  # of a function whose docstring may do without `Args:`

# Words that no docstring begins with. The linter's D401 finds some of them in functions, none in classes and modules.
OPENINGS = ('The ', 'A ', 'An ', 'What ', 'Where ', 'How ', 'Why ')

# Mannered phrases, and what to write instead.
MANNERED = {
    r'\bas (it is|they are|it stands|they stand)\b': 'unchanged, or the state that is meant',
    r'\b(is|are|was|were) told\b|\btells?\b': 'is logged, says, reports, names',
    r'\bmend(s|ed)?\b': 'fix, correct',
    r'\bstands? (between|in the place|in for)\b': 'replaces, connects',
    r"\bsomebody( else)?('s)?\b": 'another, the name of the package or class',
    r'\bwhat (becomes|there is|holds|stands)\b': 'a noun',
    r'\b(lies?|lay)\b': 'is, is stored',
    r'\bof (its|their) own\b': 'its own ..., separate',
    r'\bas has been said\b|\bwhatever it is\b|\bfor want of\b|\bgo(es)? together\b|\bgoes? on\b': 'plain words',
}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob('*.py'))


def with_examples() -> list[str]:
    """Modules whose docstrings hold examples."""
    paths = [path for path in modules() if '>>> ' in path.read_text(encoding='utf-8')]
    return ['.'.join(('mg_basicsr', *path.relative_to(PACKAGE).with_suffix('').parts)) for path in paths]


def parameters(function: ast.FunctionDef) -> list[str]:
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return [argument.arg for argument in every if argument.arg not in ('self', 'cls')]


def undocumented(body: list[ast.stmt], owner: str = '') -> Iterator[str]:
    """Public functions, methods and classes with parameters that no section describes."""
    for node in body:
        name = f'{owner}{getattr(node, "name", "_")}'
        if isinstance(node, ast.ClassDef) and not node.name.startswith('_'):
            yield from undocumented_constructor(node, name)
            yield from undocumented(node.body, f'{name}.')
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith('_'):
            text = ast.get_docstring(node) or ''
            elsewhere = re.search(r'[Ss]ee `', text)  # an implementation, described where it is declared
            if len(parameters(node)) > MOST_PARAMETERS and 'Args:' not in text and not elsewhere:
                yield name


def undocumented_constructor(node: ast.ClassDef, name: str) -> Iterator[str]:
    """The class, where neither `Args:` nor `Attributes:` describes what it is made from."""
    made_by = [entry for entry in node.body if isinstance(entry, ast.FunctionDef) and entry.name == '__init__']
    fields = [entry for entry in node.body if isinstance(entry, ast.AnnAssign)]
    count = len(parameters(made_by[0])) if made_by else len(fields)
    text = ast.get_docstring(node) or ''
    if count > MOST_PARAMETERS and 'Args:' not in text and 'Attributes:' not in text:
        yield name


def sentences(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and text of everything in a module that is written for people: docstrings and texts with spaces in them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and ' ' in node.value:
            yield node.lineno, ' '.join(node.value.split())


def mannered(source: str) -> list[str]:
    return [
        f'line {line}: {found[0]!r}: {instead}'
        for line, text in sentences(ast.parse(source))
        for pattern, instead in MANNERED.items()
        for found in re.finditer(pattern, text)
    ]


def openings(source: str) -> list[str]:
    tree = ast.parse(source)
    documented = (node for node in ast.walk(tree) if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)))
    return [text for node in documented if (text := ast.get_docstring(node) or '').startswith(OPENINGS)]


@pytest.mark.parametrize('path', modules(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_functions_with_several_parameters_describe_them(path: Path) -> None:
    assert list(undocumented(ast.parse(path.read_text(encoding='utf-8')).body)) == []


@pytest.mark.parametrize('path', modules(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_plain_words(path: Path) -> None:
    assert mannered(path.read_text(encoding='utf-8')) == []


@pytest.mark.parametrize('path', modules(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_docstrings_begin_with_a_verb_or_a_term(path: Path) -> None:
    assert openings(path.read_text(encoding='utf-8')) == []


def test_the_checks_find_what_they_look_for() -> None:
    source = """
def one(a): "Return one."
def two(a, b): "Return two."
def _hidden(a, b): pass
class Made:
    "A class that is told, as it is."
    def __init__(self, a, b): pass
    def method(self, a, *, b): "Return three."
    def elsewhere(self, a, b): "Do it; see `Made.method`."
class Record:
    "Two fields."
    a: int
    b: int
"""
    assert list(undocumented(ast.parse(source).body)) == ['two', 'Made', 'Made.method', 'Record']
    assert len(mannered(source)) == 2
    assert openings(source) == ['A class that is told, as it is.']


@pytest.mark.parametrize('module', with_examples())
def test_examples_in_docstrings(module: str) -> None:
    failed, attempted = doctest.testmod(importlib.import_module(module))
    assert attempted > 0 == failed

"""CONTRIBUTING.md and docs/architecture.md against the tree: the map, the walks, and every path and name in them."""

from __future__ import annotations

import ast
import re
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from mg_basicsr._version import __version__
from tests.unit.test_layers import GROUND, MAY_IMPORT

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / 'mg_basicsr'
CONTRIBUTING = (ROOT / 'CONTRIBUTING.md').read_text()
ARCHITECTURE = (ROOT / 'docs/architecture.md').read_text()
DOCUMENTS = {'CONTRIBUTING.md': CONTRIBUTING, 'docs/architecture.md': ARCHITECTURE}

TOP = ('mg_basicsr', 'tests', 'docs', 'examples', 'options', 'scripts', 'benchmarks', '.ci')
PATH = re.compile(rf'(?<![\w./-])(?:{"|".join(map(re.escape, TOP))})/[\w./-]*\w/?')
NAME = re.compile(r'(mg_basicsr(?:\.\w+)+):(\w+)')
LINK = re.compile(r'\]\((?!https?:)([^)#]+)')


def section(text: str, heading: str) -> str:
    """The text below a heading, up to the next one of its level or above."""
    level = len(heading) - len(heading.lstrip('#'))
    _, _, rest = text.partition(f'\n{heading}\n')
    return re.split(rf'\n#{{1,{level}}} ', rest)[0]


def in_tree() -> set[str]:
    """Folders of the package, with a slash at the end, and files directly in it."""
    files = {path.relative_to(PACKAGE) for path in PACKAGE.rglob('*.py')}
    folders = {f'{parent.as_posix()}/' for path in files for parent in path.parents if parent != Path('.')}
    return folders | {path.as_posix() for path in files if len(path.parts) == 1}


def mapped(text: str) -> list[str]:
    return re.findall(r'^\| `([\w/.]+)` \|', section(text, '## The map'), flags=re.MULTILINE)


def without_diffs(text: str) -> str:
    """The text without examples of lines that are not there yet."""
    return re.sub(r'```diff\n.*?```', '', text, flags=re.DOTALL)


def missing(text: str, folder: Path) -> list[str]:
    """What a document names and the tree does not have: paths, links, names in modules."""
    text = without_diffs(text)
    paths = [path for path in PATH.findall(text) if not (ROOT / path).exists()]
    links = [link for link in LINK.findall(text) if not (folder / link).exists()]
    return [*paths, *links, *(f'{module}:{name}' for module, name in NAME.findall(text) if not defines(module, name))]


def defines(module: str, name: str) -> bool:
    """Whether a module has a class, function or variable of this name."""
    path = ROOT.joinpath(*module.split('.')).with_suffix('.py')
    if not path.exists():
        return False
    found: set[str | None] = set()
    for node in ast.parse(path.read_text()).body:
        targets = getattr(node, 'targets', [getattr(node, 'target', None)])
        found |= {getattr(node, 'name', None), *(getattr(target, 'id', None) for target in targets)}
    return name in found


def walks() -> dict[str, list[str]]:
    """The files of each walk, in order."""
    text = section(CONTRIBUTING, '## The four walks')
    titles = re.findall(r'^### (.+)$', text, flags=re.MULTILINE)
    return {t: re.findall(r'^\d+\. `([\w/.]+)`', section(text, f'### {t}'), flags=re.MULTILINE) for t in titles}


def floor(layer: str) -> int:
    return 0 if layer in GROUND else 1 + max(map(floor, MAY_IMPORT[layer]), default=0)


def turns_up(files: list[str]) -> int:
    """How often a walk goes from a file to one on a floor above it."""
    floors = [floor(path.split('/')[1].removesuffix('.py')) for path in files]
    return sum(after > before for before, after in pairwise(floors))


def test_the_map_has_every_folder_and_top_level_module_once() -> None:
    assert sorted(mapped(CONTRIBUTING)) == sorted(in_tree())


@pytest.mark.parametrize('name', DOCUMENTS)
def test_what_a_document_names_is_there(name: str) -> None:
    assert missing(DOCUMENTS[name], (ROOT / name).parent) == []


def test_missing_things_are_found() -> None:
    text = (
        'see mg_basicsr/nothing.py, tests/unit, mg_basicsr.errors:Problem, mg_basicsr.errors:Nothing, [a](no.md), '
        'mg_basicsr.nothing:x and [b](README.md#top)\n```diff\n+ mg_basicsr.config.not_yet:PRESET\n```\n'
    )
    assert missing(text, ROOT) == [
        'mg_basicsr/nothing.py', 'no.md', 'mg_basicsr.errors:Nothing', 'mg_basicsr.nothing:x',
    ]  # fmt: skip


def test_diffs_begin_at_lines_that_are_there() -> None:
    """Of each diff the lines that stay or go are in the file that is named last before it."""
    parts = re.split(r'```diff\n(.*?)```', CONTRIBUTING, flags=re.DOTALL)
    assert len(parts) > 10
    for before, diff in zip(parts[::2], parts[1::2], strict=False):
        lines = (ROOT / [path for path in PATH.findall(before) if path.endswith('.py')][-1]).read_text().splitlines()
        assert [line for line in diff.splitlines() if line[0] != '+' and line[1:] not in lines] == []


def test_the_table_of_the_walks() -> None:
    """docs/architecture.md says how many files each walk has, and how often it turns back up."""
    told = re.findall(r'^\| (.+?) \| (\d+) \| (\d+) \|', section(ARCHITECTURE, '## The four walks'), re.MULTILINE)
    assert len(walks()) == 4
    assert told == [(title, str(len(files)), str(turns_up(files))) for title, files in walks().items()]


def test_turns() -> None:
    assert turns_up(['mg_basicsr/cli/plan.py', 'mg_basicsr/errors.py']) == 0
    assert (
        turns_up(['mg_basicsr/errors.py', 'mg_basicsr/data/x.py', 'mg_basicsr/data/y.py', 'mg_basicsr/host/z.py']) == 2
    )


def test_make_help_lists_every_target() -> None:
    makefile = (ROOT / 'Makefile').read_text()
    targets = ' '.join(re.findall(r'^\.PHONY: (.+)$', makefile, re.MULTILINE)).split()
    helped = re.findall(r'^# make ([\w-]+) ', makefile, re.MULTILINE)
    assert sorted(helped) == sorted(set(targets) - {'help'})
    assert set(re.findall(r'^([\w-]+):(?!=)', makefile, re.MULTILINE)) == set(targets)


def test_every_check_that_is_left_out_has_a_reason() -> None:
    ignored = re.findall(r'"([A-Z]+\d+)"', (ROOT / 'pyproject.toml').read_text().partition('[tool.repo-review]')[2])
    rows = re.findall(r'^\| ([A-Z]+)(\d+)(?: to [A-Z]+(\d+))?', section(CONTRIBUTING, '## repo-review'), re.MULTILINE)
    answered = [(family, int(first), int(last or first)) for family, first, last in rows]
    assert ignored
    for check in ignored:
        family, number = re.fullmatch(r'([A-Z]+)(\d+)', check).groups()  # type: ignore[union-attr]
        assert any(family == known and first <= int(number) <= last for known, first, last in answered), check


def test_the_citation_is_of_this_version() -> None:
    assert yaml.safe_load((ROOT / 'CITATION.cff').read_text())['version'] == __version__

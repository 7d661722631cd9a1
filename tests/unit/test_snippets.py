"""YAML in the documents: every snippet is read, and every block in one makes a plan on a stock file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from mg_basicsr.errors import MultigridError
from tests.helpers.stock_options import REMOVED, stock
from tests.helpers.stock_options import described as plan_of

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r'^```yaml\n(.*?)^```', re.MULTILINE | re.DOTALL)
DOCUMENTS = [path for folder in ('', 'docs', 'options', 'examples/own_preset') for path in (ROOT / folder).glob('*.md')]
SNIPPETS = [
    pytest.param(text, id=f'{path.stem}-{n}')
    for path in sorted(DOCUMENTS)
    for n, text in enumerate(FENCE.findall(path.read_text()))
]
# The files that the documents' blocks are for: kind of dataset, gt_size, num_frame
FILES = [
    ('reds', 256, 15),
    ('vimeo', 256, -1),
    ('edvr', 256, 5),
    ('reds', 128, 15),
    ('reds', 384, 15),
    ('reds', 192, 8),
]
OWN_PRESETS = ('two_sizes',)  # of examples/own_preset, tested with the package that brings it


def plans(block: dict[str, Any]) -> bool:
    """Whether a block makes a plan on one of the stock files."""
    for kind, size, frames in FILES:
        changes = {'datasets.train.gt_size': size, 'datasets.train.num_frame': frames, 'train.fix_flow': REMOVED}
        try:
            plan_of(stock(kind, block, changes), world_size=1)
        except MultigridError:
            continue
        return True
    return False


@pytest.mark.parametrize('text', SNIPPETS)
def test_a_snippet_is_yaml_and_its_block_makes_a_plan(text: str) -> None:
    document = yaml.safe_load(text)
    assert document
    block = document.get('multigrid') if isinstance(document, dict) else None
    if block is None or block.get('preset') in OWN_PRESETS:
        return
    assert plans({'preset': 'lin2022', **block}), block


def test_a_wrong_block_makes_no_plan() -> None:
    assert not plans({'preset': 'lin2022', 'spatial': [0.5, 2.0]})
    assert plans({'preset': 'lin2022'})


def test_there_are_snippets() -> None:
    assert len(SNIPPETS) > 10

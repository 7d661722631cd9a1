"""Table of the matrix in docs/compatibility.md, between two marks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.matrix.sets import SETS

DOCUMENT = Path(__file__).parents[2] / 'docs/compatibility.md'
BEGIN, END = '<!-- matrix: begin -->', '<!-- matrix: end -->'
HEAD = '| set | Python | BasicSR | torch | NumPy | OpenCV | setuptools | tests | six stages, resumed |'


def table(record: Mapping[str, Any]) -> str:
    """Return the table as Markdown.

    Args:
        record: What came of each set, by its name.
    """
    lines = [HEAD, '|' + '---|' * HEAD.count(' | ') + '---|']
    lines += [_line(name, record[name]) for name in SETS if name in record]
    return '\n'.join(lines)


def _line(name: str, found: Mapping[str, Any]) -> str:
    if 'error' in found:
        return f'| {name} | {SETS[name].python} | {SETS[name].basicsr} | | | | | | not run: {_short(found["error"])} |'
    got = found['versions']
    opencv = got.get('opencv-python') or got.get('opencv-python-headless', '')
    basicsr = found['basicsr'].replace('==', ' ') if '==' in found['basicsr'] else 'git head, not built'
    tests = ', '.join(f'{count} {kind}' for kind, count in found['tests'].items()) or 'none'
    training = found['training']
    trained = (
        'same weights' if training.get('resumed') else f'**fails**: {_short(training.get("error", "other weights"))}'
    )
    cells = [
        name,
        got['python'],
        basicsr,
        got['torch'],
        got['numpy'],
        opencv,
        got.get('setuptools', 'none'),
        tests,
        trained,
    ]
    return '| ' + ' | '.join(cells) + ' |'


def _short(text: str) -> str:
    return ' '.join(text.split())[-160:].replace('|', '/')


def with_table(document: str, text: str) -> str:
    """Return a document with the table between its marks replaced.

    Args:
        document: The document, which has both marks.
        text: The table.
    """
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f'{before}{BEGIN}\n{text}\n{END}{after}'

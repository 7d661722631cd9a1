"""The table of repositories in docs/compatibility.md, made from the records of `test_wild`.

    python -m tests.wild.table [RECORDS.jsonl ...]

puts the newest record of each options file into `records.jsonl`, and writes the table into the document.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

RECORDS = Path(__file__).parent / 'records.jsonl'
DOCUMENT = Path(__file__).parents[2] / 'docs/compatibility.md'
BEGIN, END = '<!-- repositories: begin -->', '<!-- repositories: end -->'

Record = dict[str, Any]
COLUMNS = ('options file', 'shapes: frames x GT pixels', 'loss at each change, and at the end', 'iterations',
           'killed after, resumed', 'two ranks')  # fmt: skip


def read(paths: Iterable[Path]) -> list[Record]:
    """The newest record of each options file, in the order of names."""
    newest: dict[tuple[str, str], Record] = {}
    for path in paths:
        for line in path.read_text().splitlines():
            record = json.loads(line)
            newest[record['repository'], record['options']] = record
    return [newest[key] for key in sorted(newest, key=lambda key: (key[0].lower(), key[1]))]


def table(records: Sequence[Record]) -> str:
    """The part of the document between its markers."""
    parts = []
    for repository, group in groupby(records, lambda record: record['repository']):
        of_it = list(group)
        words, commit = of_it[0]['command'].split(), of_it[0]['commit'][:7]
        parts.append(f'### {repository}\n\nCommit {commit}; `mg-basicsr run {words[2]} {words[3]} OPTIONS`.\n')
        trained = [record for record in of_it if 'steps' in record]
        if trained:
            parts += [row(COLUMNS), row(['---'] * len(COLUMNS)), *map(_trained, trained), '']
        parts += [f'- {line}' for record in of_it if (line := _remark(record))]
        if parts[-1]:
            parts.append('')
    return '\n'.join(parts)


def row(cells: Iterable[str]) -> str:
    return '| ' + ' | '.join(cells) + ' |'


def _trained(record: Record) -> str:
    steps = record['steps']
    shapes = [f'{frames}x{size}' for (frames, size), _ in groupby(steps, _shape)]
    changes = [next(group) for _, group in groupby(steps, _shape)]
    losses = [_loss(step) for step in (*changes, steps[-1])]
    resumed = f'{record["killed_at"]}: {record["resume"]}' if 'killed_at' in record else record['resume']
    return row(
        [f'`{record["options"]}`', ', '.join(shapes), ', '.join(losses), str(record['final']), resumed,
         record.get('ranks', 'not tried')]
    )  # fmt: skip


def _shape(step: Record) -> tuple[int, int]:
    return step['frames'], step['gt_size']


def _loss(step: Record) -> str:
    values = [value for key, value in step.items() if key not in ('iteration', 'frames', 'gt_size')]
    return f'{float(values[0]):.3g}' if values else '-'


def _remark(record: Record) -> str:
    name = f'`{record["options"]}`'
    if record['stock'] != 'trains':
        note = f' ({record["note"]})' if record['note'] else ''
        return f'{name} is out of reach where this was tried, without the block too: {record["stock"]}{note}'
    if 'refused' in record:
        return f'{name} is refused: {" / ".join(record["refused"].splitlines())}'
    if 'failed' in record:
        return f'{name} fails: {record["failed"]}'
    return f'{name}: {record["note"]}' if record['note'] else ''


def written(document: str, records: Sequence[Record]) -> str:
    """A document with the table of these records between the markers."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f'{before}{BEGIN}\n\n{table(records)}\n{END}{after}'


def main(paths: Sequence[str]) -> None:
    records = read([RECORDS, *map(Path, paths)] if RECORDS.exists() else map(Path, paths))
    RECORDS.write_text(''.join(json.dumps(record) + '\n' for record in records))
    DOCUMENT.write_text(written(DOCUMENT.read_text(), records))


if __name__ == '__main__':
    main(sys.argv[1:])

"""Options files damaged as text and as a tree: `plan` and `check` agree, soon and in a few printable lines."""

from __future__ import annotations

import copy
import json
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helpers.damages import DAMAGES
from tests.helpers.hostile import cases, check_told
from tests.helpers.project import NewProject, Project
from tests.helpers.trainer import Trainer

SECONDS = 60  # that no command takes for these files, even on a busy machine

# `plan`, then what `check` and `train` read before a model is built, of each file in a folder; in one process
READ = """
import contextlib, io, json, sys, time
from pathlib import Path
from mg_basicsr.cli.main import main
from mg_basicsr.errors import ending_cleanly
from mg_basicsr.config.resolve import default_world_size
from mg_basicsr.host.data.planned_data import resolve_with_data
from mg_basicsr.parsing.options_file import load_options

def check(path):
    file = load_options(path)
    resolve_with_data(file, default_world_size(file.options))

def outcome(call):
    stream, begun = io.StringIO(), time.monotonic()
    with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
        try:
            code = call()
        except SystemExit as end:
            code = end.code
        except BaseException as error:
            code = f'{type(error).__name__}: {error}'
    return [code or 0, stream.getvalue(), time.monotonic() - begun]

for path in sorted(Path('files').iterdir()):
    told = [outcome(lambda: main(['plan', '-opt', str(path)])), outcome(lambda: ending_cleanly(check)(path))]
    print('told', json.dumps([path.name, told]), flush=True)
"""
# fmt: off
VALUES: list[Any] = [
    None, True, 0, 1, -1, 3, 10**9, 10**30, 0.5, -0.5, 1e300, float('nan'), float('inf'), '', 'x', '1e-4', '\x1b[2J',
    '\u202egnp', 'a\x00b', 'x' * 5000, [], [1], [0.5, 1.0], [[1]], [None], {}, {'a': 1}, {1: 2}, list(range(500)),
    'lin2022', 'wu2020', 'REDSDataset', 'MultigridDataset', '/dev/zero', '~', '.',
]
# fmt: on
TEXTS = [
    '\t',
    '\x00',
    '\x1b[31m',
    '\u202e',
    '&a ',
    '*a',
    '<<: *a\n',
    '!!python/object:os.system ',
    '- ',
    ': ',
    '{',
    ']',
    '|\n',
    '#',
    '%',
    '"',
    "'",
    '\ufeff',
    '\u2028',
    'multigrid: {}\n',
    'a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n',
    '[' * 300,
    'x: ' * 50,
]  # fmt: skip


def mutated_tree(options: dict[Any, Any], rng: random.Random) -> None:
    """Replace, remove, rename or move one value somewhere."""
    sections = [options]
    for section in sections:
        sections += [value for value in section.values() if isinstance(value, dict)]
    section = rng.choice([section for section in sections if section])
    key = rng.choice(list(section))
    kind = rng.randrange(5)
    if kind == 0:
        del section[key]
    elif kind == 1:
        section[rng.choice(['x', 'type', 'preset', 5, None, 'gt_sizes', 'Lr'])] = section.pop(key)
    elif kind == 2:
        rng.choice(sections)[key] = copy.deepcopy(section[key])
    else:
        section[key] = copy.deepcopy(rng.choice(VALUES))


def mutated_text(text: str, rng: random.Random) -> str:
    """Insert, remove, repeat or exchange a few pieces."""
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(text) + 1)
        end = at + rng.choice([0, 1, 5, 40])
        lines = text.splitlines(keepends=True)
        kind = rng.randrange(5)
        if kind == 0:
            rng.shuffle(lines[(n := rng.randrange(len(lines) or 1)) : n + 5])
            text = ''.join(lines)
        elif kind == 1:
            text = text[:at] + text[end:]
        elif kind == 2:
            text = text[:at] + text[at:end] * 3 + text[end:]
        else:
            text = text[:at] + rng.choice(TEXTS) + text[at:]
        text = text or 'x'
    return text


def outcomes(trainer: Trainer, project: Project) -> dict[str, Any]:
    (project.root / 'read.py').write_text(READ)
    output = project.root / 'output.txt'
    code = trainer.run(['read.py'], project.root, [output])
    lines = output.read_text(errors='replace').splitlines()
    told = dict(json.loads(line.removeprefix('told ')) for line in lines if line.startswith('told '))
    assert code == 0, (
        sorted({path.name for path in (project.root / 'files').iterdir()} - set(told))[:1],
        lines[-20:],
    )
    return told


@pytest.mark.parametrize('kind', ['tree', 'text', 'file'])
def test_damaged_options(trainer: Trainer, new_project: NewProject, kind: str, count: Counter[str]) -> None:
    project = new_project()
    project.shrink()
    text = project.write().read_text()
    folder = project.root / 'files'
    folder.mkdir()
    for number, rng in enumerate(cases(25 if kind == 'file' else 250)):
        path = folder / f'{number:05d}.yml'
        path.write_text(text)
        if kind == 'tree':
            options = yaml.safe_load(text)
            for _ in range(rng.randint(1, 2)):
                mutated_tree(options, rng)
            path.write_text(yaml.safe_dump(options, sort_keys=False, allow_unicode=rng.random() < 0.5))
        elif kind == 'text':
            path.write_text(mutated_text(text, rng))
        else:
            rng.choice(DAMAGES)(path, rng)
    begun = time.monotonic()
    told = outcomes(trainer, project)
    for name, (planned, checked) in told.items():
        for code, printed, seconds in (planned, checked):
            check_told(code, printed)
            assert seconds < SECONDS, name
        # a file whose data cannot be read can be planned; one that cannot be planned is never trained
        assert planned[0] == 0 or checked[0] == 2 or 'multigrid' not in Path(folder, name).read_text(), (name, planned)
        count[f'planned {planned[0]}, checked {checked[0]}'] += 1
    assert len(told) == len(list(folder.iterdir())) or kind == 'file'
    print(f'{time.monotonic() - begun:.0f} s')

"""Names as they occur, and what systems put beside frames: every clip is stored and read back, or named."""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from pathlib import Path

from mg_basicsr.data.listing.meta_files import read_meta_file
from mg_basicsr.data.store.reader import StoreFrames
from tests.helpers.frame_sets import SIZE, picture, write_pair
from tests.helpers.hostile import cases, check_told
from tests.helpers.project import NewProject, Project
from tests.helpers.trainer import Trainer

PIECES = [
    '000', '1', 'clip', 'Clip', 'CLIP', ' ', '  ', '.', '-', '--gt', '_', '(1)', "'", '"', '$HOME', '*', '%s', '{}',
    '#', '&', ';', '~', '\u00fc', 'u\u0308', '\u4e2d\u6587', '\U0001f3ac', '\u202e', '\u200b', '\n', '\t', '\x1b[31m',
    '\x7f', '\\', ':', ':smile:', '[red]', '100 (1,2,3)', '.png', '.lmdb', 'x' * 120, '\udcff',
]  # fmt: skip
TRASH = ['Thumbs.db', '.DS_Store', 'desktop.ini', '.ipynb_checkpoints/0.png', '@eaDir/0.png', '__MACOSX/._0.png',
         '.Trash-0/0.png', 'readme.txt', '#recycle/0.png', '$RECYCLE.BIN/0.png', 'lost+found/x']  # fmt: skip
FRAMES = 3


def name_of(rng: random.Random) -> str:
    name = ''.join(rng.choice(PIECES) for _ in range(rng.randint(1, 3)))
    return 'c' if name in ('.', '..') else os.fsdecode(os.fsencode(name)[:200])


def odd_entries(folder: Path, rng: random.Random) -> None:
    """Files, pipes, links in a circle and folders that are no part of the data."""
    for name in rng.sample(TRASH, rng.randint(0, 4)):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b'x')
    kind = rng.choice(['pipe.png', 'circle.png', 'up', ''])
    if not kind or os.path.lexists(folder / kind):
        return
    if kind == 'pipe.png':
        os.mkfifo(folder / kind)
    else:
        (folder / kind).symlink_to(kind if kind == 'circle.png' else folder)


def write_named(root: Path, rng: random.Random) -> set[str]:
    """A set of clips of such names, with such entries beside them."""
    shutil.rmtree(root, ignore_errors=True)
    names: set[str] = set()
    for number in range(rng.randint(1, 4)):
        name = name_of(rng)
        if name.lower() in {other.lower() for other in names}:
            continue
        names.add(name)
        for frame in range(FRAMES):
            write_pair(root, f'.new/{frame:08d}.png', picture(number, frame))
        for side in ('GT', 'LQ'):
            os.rename(root / side / '.new', root / side / name)
            odd_entries(root / side / name, rng)
            if rng.random() < 0.3:
                odd_entries(root / side, rng)
    return names


def prepared(trainer: Trainer, project: Project, root: Path) -> tuple[int, str]:
    shutil.rmtree(project.root / 'store', ignore_errors=True)
    roots = ['--gt', f'{root}/GT', '--lq', f'{root}/LQ', '-o', 'store', '--workers', '1']
    outputs = [project.root / 'stdout', project.root / 'stderr']
    code = trainer.run(['-m', 'mg_basicsr', 'prepare', *roots], project.root, outputs)
    return code, ''.join(path.read_text(errors='replace') for path in outputs)


def test_names_of_clips(trainer: Trainer, new_project: NewProject, tmp_path: Path, count: Counter[str]) -> None:
    project, root = new_project(), tmp_path / 'set'
    for rng in cases(40):
        names = write_named(root, rng)
        code, told = prepared(trainer, project, root)
        check_told(code, told)
        listed = read_meta_file(str(project.root / 'store/meta_info.txt')) if code == 0 else []
        hidden = {name for name in names if name.startswith('.')}
        if code == 0:
            assert {sequence.name for sequence in listed} == names - hidden, (names, told)
            assert all(sequence[1:] == (FRAMES, *SIZE) for sequence in listed)
            StoreFrames(project.root / 'store').check(listed)
            assert told.count('hidden') >= len(hidden)
        else:
            assert 'cannot be the name' in told or names == hidden, (names, told)
        count['stored and read back' if code == 0 else 'refused'] += 1

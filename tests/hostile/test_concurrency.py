"""Two processes at once in one experiment, store or folder of clips; and folders that may not be read or written."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.helpers.checkpoints import assert_same_end
from tests.helpers.hostile import cases, check_told
from tests.helpers.project import NewProject, Project
from tests.helpers.trainer import Trainer
from tests.hostile.test_kills import MAIN, MAKE_CLIPS, tree

LATER = 'import time\ntime.sleep({seconds})\n'
# root reads everything by two capabilities, without which permissions hold for it as for any owner
UNPRIVILEGED = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
header, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
assert libc.capget(header, data) == 0
for index in (0, 1):
    data[index] &= ~((1 << 1) | (1 << 2))
assert libc.capset(header, data) == 0
"""


@pytest.fixture(scope='module')
def trainers() -> Iterator[list[Trainer]]:
    with Trainer() as one, Trainer() as other:
        yield [one, other]


def at_once(trainers: list[Trainer], project: Project, scripts: list[str]) -> list[tuple[int, str]]:
    def run(number: int) -> tuple[int, str]:
        script, output = project.root / f'script_{number}.py', project.root / f'output_{number}.txt'
        script.write_text(scripts[number])
        code = trainers[number].run([script.name], project.root, [output])
        return code, output.read_text(errors='replace')

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(run, range(2)))


def test_two_runs_of_one_name(trainers: list[Trainer], new_project: NewProject, count: Counter[str]) -> None:
    undisturbed = new_project()
    undisturbed.shrink()
    undisturbed.write()
    train = MAIN.format(arguments=['x', 'train', '-opt', 'train.yml', '--auto_resume'])
    assert at_once(trainers, undisturbed, [train, 'pass'])[0][0] == 0
    for rng in cases(6):
        project = new_project()
        project.shrink()
        project.write()
        ends = at_once(trainers, project, [train, LATER.format(seconds=rng.uniform(0, 1)) + train])
        for code, told in ends:
            check_told(code, told, 'is being trained in by another process')
        assert 0 in [code for code, _ in ends], ends
        assert_same_end(project, undisturbed, 12)
        count[f'{sum(code == 2 for code, _ in ends)} refused'] += 1


@pytest.mark.parametrize('what', ['prepare', 'demo clips'])
def test_two_makers_of_one_set(
    trainers: list[Trainer], new_project: NewProject, clips: Path, what: str, count: Counter[str]
) -> None:
    roots = ['--gt', f'{clips}/GT', '--lq', f'{clips}/LQ', '-o', 'made', '--workers', '1']
    script = MAKE_CLIPS if what == 'demo clips' else MAIN.format(arguments=['x', 'prepare', *roots])
    whole = new_project()
    assert at_once(trainers, whole, [script, 'pass'])[0][0] == 0
    for rng in cases(6):
        project = new_project()
        ends = at_once(trainers, project, [script, LATER.format(seconds=rng.uniform(0, 0.2)) + script])
        for code, told in ends:
            check_told(code, told, 'another process')
        assert 0 in [code for code, _ in ends], ends
        assert tree(project.root / 'made') == tree(whole.root / 'made')
        count[f'{sum(code == 2 for code, _ in ends)} refused'] += 1


@pytest.mark.parametrize('command', ['train', 'check', 'prepare'])
def test_folders_without_permission(
    trainer: Trainer, new_project: NewProject, clips: Path, command: str, count: Counter[str]
) -> None:

    for rng in cases(4):
        project = new_project()
        root = project.root / 'set'
        shutil.copytree(clips, root)
        project.shrink(dataroot_gt=f'{root}/GT', dataroot_lq=f'{root}/LQ', meta_info_file=f'{root}/meta.txt')
        project.write()
        victim = rng.choice(
            [root / 'GT/001', root / 'LQ', root / 'LQ/002/00000003.png', root / 'meta.txt', project.root]
        )
        mode = victim.stat().st_mode
        script, output = project.root / 'script.py', project.root / 'output.txt'
        more = ['-o', 'store', '--workers', '1'] if command == 'prepare' else []
        script.write_text(UNPRIVILEGED + MAIN.format(arguments=['x', command, '-opt', 'train.yml', *more]))
        output.touch()
        victim.chmod(0o555 if victim == project.root else 0o000)
        try:
            code = trainer.run(['script.py'], project.root, [output])
        finally:
            victim.chmod(mode)
        told = output.read_text(errors='replace')
        if victim == project.root and command == 'check':
            check_told(code, told)
        else:
            assert code == 2, (victim, code, told[-2000:])
            check_told(code, told, victim.name, 'experiments', 'store')
        count['refused' if code else 'done'] += 1

"""Damaged data: training reads the same pixels as before, or ends with an error that names the file."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

from tests.helpers.damages import DAMAGES, Damage, all_zero, flipped_bit, noise, zeroed
from tests.helpers.frame_sets import to_lmdb
from tests.helpers.hostile import cases, check_told
from tests.helpers.project import BLOCK, NewProject, Project, same_weights
from tests.helpers.trainer import Trainer

# prints a hash of the samples of every clip, at the shapes of the plan
READ_ALL = """
import hashlib, sys
from pathlib import Path
from mg_basicsr.data.sampling.request import SampleRequest
from mg_basicsr.errors import ending_cleanly
from mg_basicsr.host.data.planned_data import resolve_with_data
from mg_basicsr.parsing.options_file import load_options

def read_all():
    dataset = resolve_with_data(load_options('train.yml'), 1).dataset
    digest = hashlib.sha256()
    for index in range(0, len(dataset), 3):
        sample = dataset[SampleRequest(index, 6, 64, index)]
        digest.update(sample['lq'].numpy().tobytes() + sample['gt'].numpy().tobytes())
    print('digest', digest.hexdigest())

ending_cleanly(read_all)()
"""


def set_of(form: str, root: Path, clips: Path, project: Project, trainer: Trainer) -> None:
    """Copy the clips below `root` in a form that the project reads."""
    shutil.copytree(clips, root)
    train_set = {'dataroot_gt': str(root / 'GT'), 'dataroot_lq': str(root / 'LQ'), 'meta_info_file': f'{root}/meta.txt'}
    block = dict(BLOCK)
    (root / 'meta.txt').write_text(''.join((clips / 'meta.txt').read_text().splitlines(keepends=True)[2:]))
    if form == 'lmdb':
        to_lmdb(root, root)
        train_set |= {
            'io_backend': {'type': 'lmdb'},
            'dataroot_gt': f'{root}/GT.lmdb',
            'dataroot_lq': f'{root}/LQ.lmdb',
        }
    if form in ('store', 'compressed store'):
        block['store'] = str(root / 'store')
    project.shrink(**train_set)
    project.write(block)
    if 'store' in form:
        more = ['--compress'] if form == 'compressed store' else []
        trainer.launch(project, '-m', 'mg_basicsr', 'prepare', '-opt', 'train.yml', '--workers', '1', *more)
        shutil.rmtree(root / 'GT')
        shutil.rmtree(root / 'LQ')


def run(trainer: Trainer, project: Project) -> tuple[int, str]:
    (project.root / 'read_all.py').write_text(READ_ALL)
    output = project.root / 'output.txt'
    code = trainer.run(['read_all.py'], project.root, [output])
    return code, output.read_text(errors='replace')


def victims(form: str, root: Path) -> list[Path]:
    """Files that are read, those of the list and of the data in turn."""
    if form == 'disk':
        return sorted((root / 'LQ').rglob('*.png')) + sorted((root / 'GT').rglob('*.png'))
    if form == 'lmdb':
        return [root / 'LQ.lmdb/data.mdb', root / 'GT.lmdb/data.mdb']
    if form == 'list':
        return [root / 'meta.txt']
    return [path for path in sorted((root / 'store').rglob('*')) if path.suffix in ('.clip', '.json', '.jsonl')]


def unseen(form: str, path: Path, damage: Damage) -> bool:
    """Whether only `prepare --verify` can find a damage: pixels of a store have no checksum of their own."""
    return form == 'store' and path.suffix == '.clip' and damage in (flipped_bit, zeroed, all_zero, noise)


@pytest.mark.parametrize('form', ['disk', 'lmdb', 'store', 'compressed store', 'list'])
def test_damaged_data(
    trainer: Trainer, new_project: NewProject, clips: Path, tmp_path: Path, form: str, count: Counter[str]
) -> None:
    project = new_project()
    whole = tmp_path / 'whole'
    set_of('disk' if form == 'list' else form, whole, clips, project, trainer)
    code, undisturbed = run(trainer, project)
    assert code == 0, undisturbed
    text = (project.root / 'train.yml').read_text()
    root = tmp_path / 'damaged'
    (project.root / 'train.yml').write_text(text.replace(str(whole), str(root)))
    for rng in cases(60):
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(whole, root)
        path, damage = rng.choice(victims(form, root)), rng.choice(DAMAGES)
        if unseen(form, path, damage):
            continue
        damage(path, rng)
        code, told = run(trainer, project)
        case = f'{damage.__name__} {path.relative_to(root)}'
        assert code in (0, 2), f'{case}: exit code {code}\n{told[-3000:]}'
        check_told(code, told, path.name, path.stem, path.parent.name)
        if code == 0 and form != 'list':  # a list can be cut, or name another clip, and be a list
            assert told.splitlines()[-1] == undisturbed.splitlines()[-1], case
        count['equal' if code == 0 else 'refused'] += 1


def test_a_damaged_store_is_found_by_verify(
    trainer: Trainer, new_project: NewProject, clips: Path, tmp_path: Path, count: Counter[str]
) -> None:
    project = new_project()
    shutil.copytree(clips, tmp_path / 'set')
    roots = ['--gt', f'{tmp_path}/set/GT', '--lq', f'{tmp_path}/set/LQ', '--workers', '1']
    prepare = ['-m', 'mg_basicsr', 'prepare', *roots]
    trainer.launch(project, *prepare, '-o', str(tmp_path / 'whole'))
    for rng in cases(25):
        shutil.rmtree(tmp_path / 'store', ignore_errors=True)
        shutil.copytree(tmp_path / 'whole', tmp_path / 'store')
        path, damage = rng.choice(sorted((tmp_path / 'store/clips').rglob('*.clip'))), rng.choice(DAMAGES)
        before = path.read_bytes()
        damage(path, rng)
        same = path.is_file() and os.path.samestat(path.stat(), path.lstat()) and path.read_bytes() == before
        done = trainer.launch(project, *prepare, '-o', str(tmp_path / 'store'), '--verify', check=False)
        told = done.stdout + done.stderr
        check_told(done.returncode, told, path.name)
        whole = path.is_file() and path.read_bytes() == before  # `prepare` makes a clip of another size anew
        assert (done.returncode == 0) == (same or whole), f'{damage.__name__} {path.name}: {told}'
        count['whole or made anew' if done.returncode == 0 else 'refused'] += 1


def test_damaged_frames_under_training(
    trainer: Trainer, new_project: NewProject, clips: Path, tmp_path: Path, count: Counter[str]
) -> None:
    """Through the real BasicSR, with and without a worker: the same weights, or the file and exit code 2."""
    whole = new_project()
    whole.shrink()
    whole.write()
    trainer(whole)
    root = tmp_path / 'set'
    for rng in cases(12):
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(clips, root)
        project = new_project()
        project.shrink(
            dataroot_gt=f'{root}/GT', dataroot_lq=f'{root}/LQ', meta_info_file=f'{root}/meta.txt',
            num_worker_per_gpu=rng.randint(0, 2),
        )  # fmt: skip
        project.write()
        paths = [path for path in victims('disk', root) if path.parent.name in ('001', '002', '003')]
        path, damage = rng.choice(paths), rng.choice(DAMAGES)
        damage(path, rng)
        done = trainer.train(project, check=False)
        if done.returncode == 2:
            check_told(2, done.stderr, path.name)
        else:
            assert done.returncode == 0 and same_weights(project.weights(), whole.weights()), (damage.__name__, path)
        count['equal' if done.returncode == 0 else 'refused'] += 1

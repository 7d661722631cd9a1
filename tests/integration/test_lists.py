"""Lists in other forms than BasicSR's, and sets with only the frames that are read: check, train and prepare agree."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.frame_sets import to_lmdb, write_vimeo
from tests.helpers.project import BLOCK, NewProject, Project, same_weights
from tests.helpers.trainer import Trainer

ODD = '\ufeff001\t9\t(96,128,3)\r\n\n002  37 (96, 128, 3) \n 003 012 (96,128)\n'
EDVR = {
    'type': 'EDVR', 'num_feat': 4, 'num_frame': 5, 'deformable_groups': 2, 'num_extract_block': 1,
    'num_reconstruct_block': 1, 'with_tsa': True,
}  # fmt: skip


@pytest.fixture(scope='module')
def undisturbed(trainer: Trainer, new_project: NewProject) -> Project:
    project = new_project()
    project.shrink()
    project.write()
    trainer(project)
    return project


def test_a_list_in_another_form_trains_the_same(trainer: Trainer, project: Project, undisturbed: Project) -> None:
    project.shrink(meta_info_file='odd.txt')
    project.write()
    (project.root / 'odd.txt').write_text(ODD, encoding='utf-8', newline='')
    trainer.launch(project, '-m', 'mg_basicsr', 'check', '-opt', 'train.yml')
    trainer(project)
    assert same_weights(project.weights(), undisturbed.weights())


def test_a_line_that_nobody_can_read_is_named_by_all(trainer: Trainer, project: Project) -> None:
    project.shrink(meta_info_file='bad.txt')
    project.write()
    (project.root / 'bad.txt').write_text('001 9 (96,128,3)\n002 many (96,128,3)\n')
    for command in ('plan', 'check', 'train', 'prepare'):
        more = ['-o', 'store'] if command == 'prepare' else []
        done = trainer.launch(project, '-m', 'mg_basicsr', command, '-opt', 'train.yml', *more, check=False)
        assert done.returncode == 2 and "bad.txt, line 2: '002 many (96,128,3)'" in done.stderr, done
    assert sorted(path.name for path in project.root.iterdir()) == ['bad.txt', 'train.yml']


@pytest.mark.parametrize('backend', ['disk', 'lmdb'])
def test_windows_of_a_set_that_has_only_the_gt_of_im4(
    trainer: Trainer, project: Project, tmp_path: Path, backend: str
) -> None:
    """As BasicSR's script makes LMDBs of Vimeo-90K."""
    root = write_vimeo(tmp_path / 'set', ['00001/0001', '00001/0002'])
    for path in (root / 'GT').rglob('im[!4].png'):
        path.unlink()
    if backend == 'lmdb':
        to_lmdb(root, tmp_path / 'set')
    suffix = '.lmdb' if backend == 'lmdb' else ''
    project.shrink(
        type='Vimeo90KDataset', num_frame=5, gt_size=32, io_backend={'type': backend},
        dataroot_gt=f'{root}/GT{suffix}', dataroot_lq=f'{root}/LQ{suffix}', meta_info_file=f'{root}/meta.txt',
    )  # fmt: skip
    project.options |= {'model_type': 'EDVRModel', 'network_g': EDVR}
    project.write({**BLOCK, 'temporal': [1.0]})
    for command in ('check', 'train'):
        trainer.launch(project, '-m', 'mg_basicsr', command, '-opt', 'train.yml')
    assert len(project.losses()) == 12
    trained = project.weights()
    prepared = trainer.launch(project, '-m', 'mg_basicsr', 'prepare', '-opt', 'train.yml', '-o', 'store', '--verify')
    assert '2 of 2 clips have the GT of some frames alone, such as 00001/0001 (1 of 7)' in prepared.stdout
    project.options['name'] = 'stored'
    project.write({**BLOCK, 'temporal': [1.0], 'store': 'store'})
    trainer(project)
    assert same_weights(project.weights(), trained)

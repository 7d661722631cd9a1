"""Training from a crop store is training from the folders, to the bit."""

from __future__ import annotations

import pytest

from tests.helpers.project import BLOCK, same_weights


@pytest.fixture(scope='module')
def from_folders(trainer, new_project):
    project = new_project()
    project.shrink()
    project.write()
    trainer.train(project)
    return project


@pytest.mark.parametrize('compress', [False, True], ids=['raw', 'compressed'])
def test_same_losses_and_weights(trainer, project, clips, from_folders, compress):
    project.shrink()
    lines = (clips / 'meta.txt').read_text().splitlines(keepends=True)
    own = project.root / 'meta.txt'  # the clips that the folders have; those for validation lie elsewhere
    own.write_text(''.join(line for line in lines if (clips / 'GT' / line.split()[0]).exists()))
    project.options['datasets']['train']['meta_info_file'] = str(own)
    project.write({**BLOCK, 'store': 'the_store'})
    options = ['--compress'] if compress else []
    trainer.launch(project, '-m', 'mg_basicsr', 'prepare', '-opt', 'train.yml', '--workers', '1', *options)
    project.options['datasets']['train'] |= {'dataroot_gt': 'nowhere', 'dataroot_lq': 'nowhere'}  # not read any more
    project.write({**BLOCK, 'store': 'the_store'})
    trainer.train(project)
    assert project.losses() == from_folders.losses()
    assert same_weights(project.weights(), from_folders.weights())


def test_a_store_that_is_not_there(trainer, project):
    project.write({**BLOCK, 'store': 'the_store'})
    done = trainer.train(project, check=False)
    assert done.returncode == 2 and 'the_store' in done.stderr and 'Traceback' not in done.stderr
    assert not project.experiment.exists()

"""A user's mistake: a few lines that name option, value and remedy; exit code 2; nothing written."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mg_basicsr.errors import MultigridError
from mg_basicsr.host.entry.command_line import parse_command_line
from mg_basicsr.host.entry.start import start_run
from mg_basicsr.host.run import activate, active_run
from tests.helpers.networks import NARROW_FLOW
from tests.helpers.project import BLOCK, Project


def edvr(project: Project, clips: Path) -> dict:
    project.options['datasets']['train'] |= {'type': 'REDSDataset', 'num_frame': 5, 'dataroot_flow': None}
    return {**BLOCK, 'temporal': [0.5, 1.0]}


def no_known_key(project: Project, clips: Path) -> dict:
    return {'presett': 'lin2022', 'spatials': [1.0]}


def odd_gt_size(project: Project, clips: Path) -> dict:
    project.options['datasets']['train']['gt_size'] = 63
    return BLOCK


def own_schedule(project: Project, clips: Path) -> dict:
    project.options['datasets']['train']['gt_sizes'] = [32, 64]
    return BLOCK


def no_meta_file(project: Project, clips: Path) -> dict:
    project.options['datasets']['train']['meta_info_file'] = 'nowhere/meta.txt'
    return BLOCK


def large_crop(project: Project, clips: Path) -> dict:
    project.options['datasets']['train']['gt_size'] = 128
    return BLOCK


def long_clip(project: Project, clips: Path) -> dict:
    project.options['datasets']['train']['num_frame'] = 10
    return BLOCK


def missing_frame(project: Project, clips: Path) -> dict:
    copy = project.root / 'copy'
    shutil.copytree(clips, copy)
    (copy / 'LQ/002/00000011.png').unlink()
    project.options['datasets']['train']['dataroot_lq'] = str(copy / 'LQ')
    return BLOCK


def many_gpus(project: Project, clips: Path) -> dict:
    project.options['num_gpu'] = 2
    return BLOCK


def real_esrgan(project: Project, clips: Path) -> dict:
    project.options['model_type'] = 'RealESRGANModel'
    return BLOCK


MISTAKES = {
    edvr: ['multigrid.temporal', '[0.5, 1.0]', '[1.0]'],
    no_known_key: ['multigrid.presett', 'multigrid.preset?', 'multigrid.spatials', 'multigrid.spatial?'],
    odd_gt_size: ['datasets.train.gt_size: 63', 'scale', '60'],
    own_schedule: ['datasets.train.gt_sizes', '[32, 64]', 'gt_sizes: [64]'],
    no_meta_file: ['datasets.train.meta_info_file', 'nowhere/meta.txt'],
    large_crop: ['96x128', '128', 'gt_size'],
    long_clip: ['001', '9 frames', '10'],
    missing_frame: ['00000011.png', '002'],
    many_gpus: ['num_gpu: 2', 'torchrun --nproc_per_node=2'],
    real_esrgan: ['model_type: RealESRGANModel'],
}


@pytest.fixture(autouse=True)
def no_run_left():
    yield
    activate(None)


@pytest.mark.parametrize('mistake', MISTAKES, ids=lambda mistake: mistake.__name__)
def test_mistake_is_named_before_anything_happens(project, clips, mistake):
    path = project.write(mistake(project, clips))
    with pytest.raises(MultigridError) as caught:
        start_run(parse_command_line(['-opt', str(path)]))
    for expected in MISTAKES[mistake]:
        assert expected in str(caught.value)
    for problem in caught.value.problems:
        assert len(str(problem).splitlines()) <= 3
    assert active_run() is None
    assert not project.experiment.exists()


def test_without_a_mistake_it_is_prepared(project):
    """The table above can fail."""
    run = start_run(parse_command_line(['-opt', str(project.write())]))
    assert run is not None and run is active_run()


def test_ranks_that_do_not_divide_the_batch(project, monkeypatch):
    monkeypatch.setenv('WORLD_SIZE', '3')
    path = project.write({**BLOCK, 'base_batch_size': 4})
    with pytest.raises(MultigridError, match='4 clips cannot be divided among 3 ranks'):
        start_run(parse_command_line(['-opt', str(path), '--launcher', 'pytorch']))


@pytest.mark.parametrize('way', ['train', 'run', 'import'])
def test_every_way_in_ends_with_exit_code_2(project, clips, way):
    project.write(no_meta_file(project, clips))
    script = 'import os\nfrom basicsr.train import train_pipeline\ntrain_pipeline(os.getcwd())\n'
    (project.root / 'plain.py').write_text(script)
    (project.root / 'with_import.py').write_text('import mg_basicsr\n' + script)
    arguments = {'train': ['-m', 'mg_basicsr', 'train'], 'run': ['-m', 'mg_basicsr', 'run', 'plain.py']}
    done = project.launch(*arguments.get(way, ['with_import.py']), '-opt', 'train.yml', check=False)
    assert done.returncode == 2
    assert 'nowhere/meta.txt' in done.stderr and 'Traceback' not in done.stderr
    assert sorted(path.name for path in project.root.iterdir()) == ['plain.py', 'train.yml', 'with_import.py']


@pytest.mark.parametrize('workers', [0, 1])
def test_a_frame_that_goes_missing_while_training(trainer, project, clips, workers):
    """Found by a worker: the message arrives as it is, and what was saved stays."""
    copy = project.root / 'copy'
    shutil.copytree(clips, copy)
    project.options['datasets']['train'] |= {
        'dataroot_gt': str(copy / 'GT'),
        'dataroot_lq': str(copy / 'LQ'),
        'num_worker_per_gpu': workers,
    }
    project.options['logger']['save_checkpoint_freq'] = 1
    project.options['train']['total_iter'] = 1200
    project.options['train']['scheduler']['periods'] = [1200]
    project.write()
    script = NARROW_FLOW + (
        'import mg_basicsr, os, threading, time, glob\n'
        'def remove():\n'
        '    while not glob.glob("experiments/tiny/training_states/3.state"): time.sleep(0.01)\n'
        '    [os.unlink(path) for path in glob.glob("copy/LQ/*/*.png")]\n'
        'threading.Thread(target=remove, daemon=True).start()\n'
        'from basicsr.train import train_pipeline\n'
        'train_pipeline(os.getcwd())\n'
    )
    (project.root / 'script.py').write_text(script)
    done = trainer.launch(project, 'script.py', '-opt', 'train.yml', check=False)
    assert done.returncode == 2
    assert 'Traceback' not in done.stderr
    assert '/LQ/' in done.stderr and 'does not exist' in done.stderr and 'clip 00' in done.stderr
    assert (project.experiment / 'training_states/3.state').exists()

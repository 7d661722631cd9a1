"""Checkpoints that cannot be written, and those that are deleted."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.helpers.checkpoints import files_of, first_difference, refused, state
from tests.helpers.project import BLOCK, NewProject, Project, same_weights
from tests.helpers.trainer import Trainer

# a disk on which files of some names get no further than some bytes
FULL_DISK = """
import errno, os
pwrite = os.pwrite
def limited(descriptor, data, offset):
    name = os.readlink(f'/proc/self/fd/{{descriptor}}')
    if any(part in name for part in {parts}) and offset + len(data) > 2000:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return pwrite(descriptor, data, offset)
os.pwrite = limited
"""


def errors_of(project: Project) -> list[str]:
    return [line for line in project.log().splitlines() if 'ERROR' in line]


def test_a_full_disk_stops_nothing(trainer: Trainer, make: NewProject, undisturbed: Project) -> None:
    project = make()
    trainer(project, before=FULL_DISK.format(parts=['net_g_6', '9.state', 'latest']))
    assert project.losses() == undisturbed.losses()
    network, unpaired, unwritten, latest = errors_of(project)
    for line, name in ((network, 'net_g_6.pth'), (unwritten, '9.state'), (latest, 'net_g_latest.pth')):
        assert name in line and 'No space left on device' in line
    assert '6.state' in unpaired and 'could not be written' in unpaired
    assert all('newest whole checkpoint is that of 3' in line for line in (network, unpaired, unwritten))
    assert 'that of 12' in latest
    assert files_of(project) == ['12.state', '3.state', 'net_g_12.pth', 'net_g_3.pth']
    assert (found := first_difference(state(project, 12), state(undisturbed, 12))) is None, found


@pytest.mark.parametrize('parts', [['net_g_'], ['net_g_12', 'latest']], ids=['all', 'the last'])
def test_a_training_whose_last_weights_are_lost_fails(trainer: Trainer, make: NewProject, parts: list[str]) -> None:
    project = make()
    what, allowed, remedy = refused(trainer(project, before=FULL_DISK.format(parts=parts), code=2))
    assert 'net_g_latest.pth: the weights of the end of the training were not saved' in what
    assert 'No space left on device' in what and '--auto_resume' in remedy and allowed
    assert ('no checkpoint is whole' in what) == (len(parts) == 1) == (files_of(project) == [])
    assert len(project.losses()) == 12


@pytest.fixture
def tmpfs(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / 'small'
    folder.mkdir()
    mounted = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=640k', 'tmpfs', str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f'a tmpfs cannot be mounted here: {mounted.stderr.decode().strip()}')
    yield folder
    subprocess.run(['umount', str(folder)], check=True)


@pytest.mark.slow
def test_a_small_file_system(trainer: Trainer, make: NewProject, undisturbed: Project, tmpfs: Path) -> None:
    """It is filled up after the first checkpoint, and freed after the third that failed."""
    project = make()
    (project.root / 'experiments').symlink_to(tmpfs)
    project.options['logger']['save_checkpoint_freq'] = 2
    project.write()
    fill = f"""
import mg_basicsr, os
from basicsr.models.video_recurrent_model import VideoRecurrentModel as Model
save = Model.save
def fill(self, epoch, current_iter):
    if current_iter == 4:
        with open('{tmpfs}/ballast', 'wb', buffering=0) as ballast:
            try:
                while True:
                    ballast.write(bytes(1024))
            except OSError:
                pass
        os.truncate('{tmpfs}/ballast', os.path.getsize('{tmpfs}/ballast') - 12 * 1024)
    if current_iter == 10:
        os.unlink('{tmpfs}/ballast')
    save(self, epoch, current_iter)
Model.save = fill
"""
    output = trainer(project, before=fill)
    errors = [line for line in output.splitlines() if 'ERROR' in line]
    assert len(errors) >= 3 and all('No space left on device' in line or 'its iteration' in line for line in errors)
    states = tmpfs / 'tiny/training_states'
    assert sorted(int(path.stem) for path in states.iterdir()) == [2, 10, 12]
    saved = torch.load(tmpfs / 'tiny/models/net_g_latest.pth', weights_only=True)
    assert same_weights(saved, undisturbed.weights())


def test_keep_last(trainer: Trainer, make: NewProject, undisturbed: Project) -> None:
    project = make()
    project.write({**BLOCK, 'keep_last': 2})
    trainer(project)
    assert files_of(project) == ['12.state', '9.state', 'net_g_12.pth', 'net_g_9.pth', 'net_g_latest.pth']
    assert same_weights(project.weights(), undisturbed.weights())

"""Checkpoints of real runs: damage, full disks, edited blocks, strangers' files, BasicSR's own checkpoints."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.helpers.checkpoints import assert_same_end, copy_pair, first_difference, state
from tests.helpers.trainer import Trainer
from tests.integration.conftest import BLOCK, Project, lines_of, same_weights, write_clips

NewProject = Callable[..., Project]

# a script with a copy of load_resume_state, as repositories have it
OWN_RESUME = """
import basicsr.train, os, torch
from basicsr.utils.misc import check_resume
def load_resume_state(opt):
    folder = f'experiments/{opt["name"]}/training_states'
    newest = max(float(name.split('.state')[0]) for name in os.listdir(folder) if name.endswith('state'))
    opt['path']['resume_state'] = os.path.join(folder, f'{newest:.0f}.state')
    device = torch.cuda.current_device()
    state = torch.load(opt['path']['resume_state'], map_location=lambda storage, loc: storage.cuda(device))
    check_resume(opt, state['iter'])
    return state
basicsr.train.load_resume_state = load_resume_state
"""

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

# as scripts have it since torch 2.6: the options are read, then a file is loaded, code and all
UNSAFE = """
import pickle, torch
import basicsr.train
parse_options = basicsr.train.parse_options
def parse_and_load(*args, **kwargs):
    result = parse_options(*args, **kwargs)
    torch.load('x.pth', None, pickle, weights_only=False)
    return result
basicsr.train.parse_options = parse_and_load
"""


@pytest.fixture(scope='module')
def new_project(tmp_path_factory: pytest.TempPathFactory, clips: Path) -> NewProject:
    """Twelve iterations of the smallest network, with a checkpoint after every third."""

    def make() -> Project:
        project = Project(tmp_path_factory.mktemp('project'), clips)
        project.shrink()
        project.options['logger']['save_checkpoint_freq'] = 3
        project.options['datasets']['train']['num_worker_per_gpu'] = 0
        project.write()
        return project

    return make


@pytest.fixture(scope='module')
def undisturbed(trainer: Trainer, new_project: NewProject) -> Project:
    project = new_project()
    trainer(project)
    return project


@pytest.fixture
def killed(new_project: NewProject, undisturbed: Project) -> Project:
    """After nine iterations."""
    project = new_project()
    copy_pair(undisturbed, project, 3, 6, 9)
    return project


def files(project: Project) -> list[str]:
    folders = ('models', 'training_states')
    return sorted(path.name for folder in folders for path in (project.experiment / folder).iterdir())


def refused(output: str) -> list[str]:
    """The lines of an error: no traceback, three lines for a problem."""
    assert 'Traceback' not in output
    lines = lines_of(output.split('Disable distributed.')[-1])
    lines = [line for line in lines if not line.startswith(('Set pretrain', 'pretrain_network'))]
    return lines[-3:]


# Damage


def truncated_state(project: Project) -> str:
    path = project.experiment / 'training_states/9.state'
    os.truncate(path, path.stat().st_size * 2 // 3)
    return 'cut off or changed'


def empty_state(project: Project) -> str:
    (project.experiment / 'training_states/9.state').write_bytes(b'')
    return 'it is empty'


def flipped_network(project: Project) -> str:
    path = project.experiment / 'models/net_g_9.pth'
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    return 'net_g_9.pth is damaged or was not saved with it'


def missing_network(project: Project) -> str:
    (project.experiment / 'models/net_g_9.pth').unlink()
    return 'net_g_9.pth is missing'


DAMAGES = [truncated_state, empty_state, flipped_network, missing_network]


@pytest.mark.parametrize('damage', DAMAGES)
def test_a_damaged_newest_checkpoint_is_named_and_the_one_before_is_used(
    trainer: Trainer, killed: Project, undisturbed: Project, damage: Callable[[Project], str]
) -> None:
    reason = damage(killed)
    (killed.experiment / 'training_states/12.state.77.part').write_bytes(b'half')
    own_script = damage is flipped_network
    trainer(killed, *([] if own_script else ['--auto_resume']), before=OWN_RESUME if own_script else '')
    warnings = [line for line in killed.log().splitlines() if 'WARNING' in line and '9.state' in line]
    assert len(warnings) == 1 and reason in warnings[0]
    assert 'resumed from' in killed.log() and '6.state' in killed.log()
    assert killed.losses() == undisturbed.losses()[6:]
    assert_same_end(killed, undisturbed, 12)
    assert files(killed) == files(undisturbed)  # no leftovers


@pytest.mark.parametrize('damage', [truncated_state, missing_network])
def test_a_damaged_checkpoint_that_was_asked_for_is_an_error(
    trainer: Trainer, killed: Project, damage: Callable[[Project], str]
) -> None:
    reason = damage(killed)
    before = files(killed)
    killed.options['path']['resume_state'] = 'experiments/tiny/training_states/9.state'
    killed.write()
    what, allowed, remedy = refused(trainer(killed, code=2))
    assert what.startswith('path.resume_state: ') and '9.state' in what and reason in what
    assert 'allowed' in allowed and '--auto_resume' in remedy
    assert files(killed) == before and not list(killed.experiment.glob('*.log'))


def test_no_checkpoint_is_whole(trainer: Trainer, killed: Project) -> None:
    for path in (killed.experiment / 'training_states').iterdir():
        path.write_bytes(b'')
    what, _, remedy = refused(trainer(killed, '--auto_resume', code=2))
    assert 'no checkpoint is whole' in what and 'begin anew' in remedy


def test_resumed_under_another_name(
    trainer: Trainer, new_project: NewProject, killed: Project, undisturbed: Project
) -> None:
    """The networks are those beside the state, though BasicSR looks in the new experiment's folder."""
    project = new_project()
    project.options['path']['resume_state'] = str(killed.experiment / 'training_states/9.state')
    project.options['name'] = 'renamed'
    project.experiment.mkdir(parents=True)  # BasicSR makes no folders when it resumes
    project.write()
    trainer(project)
    assert project.losses() == undisturbed.losses()[9:]
    assert same_weights(project.weights(), undisturbed.weights())


COPIES_AVERAGES = """
import mg_basicsr
from basicsr.models.sr_model import SRModel
init = SRModel.init_training_settings
def init_training_settings(self):
    init(self)
    self.model_ema(0)
SRModel.init_training_settings = init_training_settings
"""


def test_a_repository_that_begins_its_averages_anew(trainer: Trainer, killed: Project, undisturbed: Project) -> None:
    trainer(killed, '--auto_resume', before=COPIES_AVERAGES)
    assert_same_end(killed, undisturbed, 12)


@pytest.mark.parametrize('way', ['resumed', 'pretrained', 'without params'])
def test_weights_of_another_network(trainer: Trainer, killed: Project, way: str) -> None:
    if way == 'without params':
        torch.save({'other': {}}, killed.root / 'other.pth')
        killed.options['path']['pretrain_network_g'] = 'other.pth'
    else:
        killed.options['network_g']['num_feat'] = 5
    if way == 'pretrained':
        killed.options['path']['pretrain_network_g'] = str(killed.experiment / 'models/net_g_9.pth')
        killed.options['name'] = 'anew'
    killed.write()
    what, _, _ = refused(trainer(killed, *(['--auto_resume'] if way == 'resumed' else []), code=2))
    assert 'does not fit the network' in what and ('other.pth' if way == 'without params' else 'net_g_9.pth') in what


# Failed saves


def errors_of(project: Project) -> list[str]:
    return [line for line in project.log().splitlines() if 'ERROR' in line]


def test_a_full_disk_stops_nothing(trainer: Trainer, new_project: NewProject, undisturbed: Project) -> None:
    project = new_project()
    trainer(project, before=FULL_DISK.format(parts=['net_g_6', '9.state', 'latest']))
    assert project.losses() == undisturbed.losses()
    network, unpaired, unwritten, latest = errors_of(project)
    for line, name in ((network, 'net_g_6.pth'), (unwritten, '9.state'), (latest, 'net_g_latest.pth')):
        assert name in line and 'No space left on device' in line
    assert '6.state' in unpaired and 'could not be written' in unpaired
    assert all('newest whole checkpoint is that of 3' in line for line in (network, unpaired, unwritten))
    assert 'that of 12' in latest
    assert files(project) == ['12.state', '3.state', 'net_g_12.pth', 'net_g_3.pth']
    assert (found := first_difference(state(project, 12), state(undisturbed, 12))) is None, found


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
def test_a_small_file_system(trainer: Trainer, new_project: NewProject, undisturbed: Project, tmpfs: Path) -> None:
    """It is filled up after the first checkpoint, and freed after the third that failed."""
    project = new_project()
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


def test_keep_last(trainer: Trainer, new_project: NewProject, undisturbed: Project) -> None:
    project = new_project()
    project.write({**BLOCK, 'keep_last': 2})
    trainer(project)
    assert files(project) == ['12.state', '9.state', 'net_g_12.pth', 'net_g_9.pth', 'net_g_latest.pth']
    assert same_weights(project.weights(), undisturbed.weights())


# The plan in the state


@pytest.mark.parametrize(
    ('block', 'told'),
    [
        ({'spatial': [0.75, 1.0]}, [f'stage {n}: gt_size 32 -> 48' for n in (1, 2, 3)]),
        ({'temporal': [1.0]}, ['6 -> 2 stages', 'stage 1: iters 2 -> 6, ', 'frames 3 -> 6', 'stage 2: ']),
        ({'warmup_iter': 3}, ['multigrid.warmup_iter 0 -> 3']),
        ({'base_batch_size': 4}, ['multigrid.base_batch_size 2 -> 4; stage 1: clips 2 -> 4', 'and 4 more']),
    ],
    ids=str,
)  # fmt: skip
def test_an_edited_block_is_told_stage_by_stage(
    trainer: Trainer, killed: Project, block: dict[str, Any], told: list[str]
) -> None:
    killed.write({**BLOCK, **block})
    before = files(killed)
    what, allowed, remedy = refused(trainer(killed, '--auto_resume', code=2))
    assert what.startswith('multigrid: not the plan of ') and all(part in what for part in told), what
    assert 'the plan that the run began with' in allowed
    assert 'path.pretrain_network_g: ' in remedy and 'net_g_9.pth' in remedy and 'another name' in remedy
    assert files(killed) == before and not list(killed.experiment.glob('*.log'))


@pytest.mark.parametrize('workers', [0, 2])
def test_what_does_not_change_the_plan_may_change(
    trainer: Trainer, killed: Project, undisturbed: Project, workers: int
) -> None:
    """One clip at a time in less memory: the global batch stays, now in two passes."""
    train_set = killed.options['datasets']['train']
    train_set['num_worker_per_gpu'] = workers
    if workers == 0:
        train_set['batch_size_per_gpu'] = 1
    killed.write({**BLOCK, 'keep_last': 3, 'uint8_transfer': False})
    trainer(killed, '--auto_resume')
    assert state(killed, 12)['multigrid']['plan'] == state(undisturbed, 12)['multigrid']['plan']
    if workers == 0:
        assert '2 clips per iteration are kept from the checkpoint' in killed.log()
        assert 'clips: 2 ' in killed.log()
        assert [float(loss) for loss in killed.losses()] == pytest.approx(
            [float(loss) for loss in undisturbed.losses()[9:]], rel=1e-3
        )
    else:
        assert_same_end(killed, undisturbed, 12)


@pytest.mark.slow
def test_a_batch_that_the_ranks_cannot_share(killed: Project) -> None:
    done = killed.launch(
        '-m', 'torch.distributed.run', '--nproc_per_node=3', '--master_port=0', '--rdzv_backend=c10d',
        '--rdzv_endpoint=localhost:0', '-m', 'mg_basicsr', 'train', '-opt', 'train.yml', '--launcher', 'pytorch',
        '--auto_resume', check=False,
    )  # fmt: skip
    assert done.returncode
    assert '2 clips cannot be divided among 3 ranks' in done.stderr
    assert 'the run began with 2 clips per iteration' in done.stderr


@pytest.mark.slow
def test_two_ranks_then_one_then_two(new_project: NewProject, undisturbed: Project) -> None:
    """Same data and the same global batch; sums in another order."""
    project = new_project()
    project.options['datasets']['train']['batch_size_per_gpu'] = 1
    project.options['find_unused_parameters'] = True
    project.write()
    shutil.rmtree(project.experiment, ignore_errors=True)
    copy_pair(undisturbed, project, 3)
    ranks = (
        '-m', 'torch.distributed.run', '--nproc_per_node=2', '--master_port=0', '--rdzv_backend=c10d',
        '--rdzv_endpoint=localhost:0', '-m', 'mg_basicsr', 'train', '-opt', 'train.yml', '--launcher', 'pytorch',
    )  # fmt: skip
    project.launch(*ranks, '--auto_resume')
    assert 'resumed from' in project.log() and '3.state' in project.log()
    first = [float(loss) for loss in project.losses()]
    assert first == pytest.approx([float(loss) for loss in undisturbed.losses()[3:]], rel=0.02)
    for name in ('models/net_g_12.pth', 'training_states/12.state'):
        (project.experiment / name).unlink()
    project.train('--auto_resume')
    assert '2 clips per iteration are kept from the checkpoint' in project.log()
    assert [float(loss) for loss in project.losses()] == pytest.approx(first[6:], rel=0.02)
    assert state(project, 12)['multigrid']['plan'] == state(undisturbed, 12)['multigrid']['plan']


# BasicSR's own checkpoints, and ours in BasicSR


@pytest.fixture(scope='module')
def stock(trainer: Trainer, new_project: NewProject, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """BasicSR's own run, on clips of the 100 frames that its REDS classes assume."""
    folder = tmp_path_factory.mktemp('hundred')
    write_clips(folder, {'001': 100})
    (folder / 'meta.txt').write_text('001 100 (96,128,3)\n')
    project = new_project()
    project.options['datasets']['train'] |= {
        'dataroot_gt': str(folder / 'GT'), 'dataroot_lq': str(folder / 'LQ'), 'meta_info_file': str(folder / 'meta.txt')
    }  # fmt: skip
    project.write(block=None)
    trainer(project)
    assert 'multigrid' not in project.log() and 'multigrid' not in state(project, 9)
    return project


def continued(stock: Project, new_project: NewProject, *iterations: int) -> Project:
    project = new_project()
    project.options = {**stock.options}
    project.write()
    copy_pair(stock, project, *iterations)
    return project


def test_a_checkpoint_of_basicsr_is_continued(trainer: Trainer, stock: Project, new_project: NewProject) -> None:
    """Another rate in the file counts; the groups' own rates in the state do not."""
    project = continued(stock, new_project, 3, 6)
    truncated = project.experiment / 'training_states/6.state'
    os.truncate(truncated, 1000)
    train = project.options['train']
    project.options['train'] = {**train, 'optim_g': {**train['optim_g'], 'lr': 5e-4}}
    project.write()
    trainer(project, '--auto_resume')
    assert "a checkpoint of BasicSR's own (iteration 3)" in project.log() and 'not bit-exact' in project.log()
    assert 'multigrid: continuing in stage 2/6' in project.log() and len(project.losses()) == 9
    assert set(state(project, 9)) == {'epoch', 'iter', 'optimizers', 'schedulers', 'multigrid'}
    rates = [float(line.split('lr:(')[1].split(',')[0]) for line in project.log().splitlines() if 'lr:(' in line]
    assert max(rates) == 5e-4


def test_a_checkpoint_of_basicsr_beyond_the_plan(trainer: Trainer, stock: Project, new_project: NewProject) -> None:
    project = continued(stock, new_project, 12)
    project.options['train'] = {**project.options['train'], 'total_iter': 6}
    project.write()
    what, _, remedy = refused(trainer(project, '--auto_resume', code=2))
    assert 'saved after iteration 12, but the plan has 6' in what and 'net_g_12.pth' in remedy


def test_basicsr_continues_ours(trainer: Trainer, stock: Project, new_project: NewProject, killed: Project) -> None:
    project = continued(stock, new_project)
    copy_pair(killed, project, 9)
    project.write(block=None)
    trainer(project, '--auto_resume')
    assert 'iter: 9.' in project.log() and len(project.losses()) == 3 and 'multigrid' not in project.log()


# Strangers' files


def with_code(path: Path, marker: Path) -> None:
    class Malicious:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(marker),)

    content = torch.load(path, weights_only=True)
    torch.save({**content, 'params': {'weight': Malicious()}, 'more': Malicious()}, path)


@pytest.mark.parametrize('way', ['--auto_resume', 'resume_state', 'network', 'pretrained'])
def test_nothing_of_a_strangers_file_is_executed(trainer: Trainer, killed: Project, way: str) -> None:
    marker = killed.root / 'executed'
    name = 'training_states/9.state' if way in ('--auto_resume', 'resume_state') else 'models/net_g_9.pth'
    path = killed.experiment / name
    if way == 'network':
        stock = torch.load(killed.experiment / 'training_states/9.state', weights_only=True)
        del stock['multigrid']  # which has the network's hash
        torch.save(stock, killed.experiment / 'training_states/9.state')
    elif way == 'resume_state':
        killed.options['path']['resume_state'] = str(path)
    elif way == 'pretrained':
        path = Path(shutil.copy(path, killed.root / 'pretrained.pth'))
        killed.options['path']['pretrain_network_g'] = str(path)
    with_code(path, marker)
    killed.write()
    what, allowed, remedy = refused(
        trainer(killed, *(['--auto_resume'] if way in ('--auto_resume', 'network') else []), code=2)
    )
    assert path.name in what and 'mkdir' in what and 'run code' in what
    assert 'weights_only=True' in allowed and remedy
    assert not marker.exists()


def test_a_script_that_asks_for_unsafe_loading_gets_safe_loading(trainer: Trainer, killed: Project) -> None:
    copy = Path(shutil.copy(killed.experiment / 'models/net_g_9.pth', killed.root / 'x.pth'))
    with_code(copy, killed.root / 'executed')
    what, _, _ = refused(trainer(killed, before=UNSAFE, code=2))
    assert 'x.pth' in what and 'mkdir' in what
    assert not (killed.root / 'executed').exists()

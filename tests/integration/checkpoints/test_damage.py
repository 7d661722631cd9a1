"""Checkpoints that are damaged, missing, or of another network."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
import torch

from tests.helpers.checkpoints import assert_same_end, files_of, refused
from tests.helpers.project import NewProject, Project, same_weights
from tests.helpers.trainer import Trainer

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
    assert files_of(killed) == files_of(undisturbed)  # no leftovers


@pytest.mark.parametrize('damage', [truncated_state, missing_network])
def test_a_damaged_checkpoint_that_was_asked_for_is_an_error(
    trainer: Trainer, killed: Project, damage: Callable[[Project], str]
) -> None:
    reason = damage(killed)
    before = files_of(killed)
    killed.options['path']['resume_state'] = 'experiments/tiny/training_states/9.state'
    killed.write()
    what, allowed, remedy = refused(trainer(killed, code=2))
    assert what.startswith('path.resume_state: ') and '9.state' in what and reason in what
    assert 'allowed' in allowed and '--auto_resume' in remedy
    assert files_of(killed) == before and not list(killed.experiment.glob('*.log'))


def test_no_checkpoint_is_whole(trainer: Trainer, killed: Project) -> None:
    for path in (killed.experiment / 'training_states').iterdir():
        path.write_bytes(b'')
    what, _, remedy = refused(trainer(killed, '--auto_resume', code=2))
    assert 'no checkpoint is whole' in what and 'begin anew' in remedy


def test_resumed_under_another_name(trainer: Trainer, make: NewProject, killed: Project, undisturbed: Project) -> None:
    """The networks are those beside the state, though BasicSR looks in the new experiment's folder."""
    project = make()
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


@pytest.mark.parametrize('ours', [True, False])
def test_a_changed_bit_in_a_pretrained_network(trainer: Trainer, killed: Project, ours: bool) -> None:
    """torch.load compares no sums. Files of this package have a hash, all others CRC-32."""
    file = killed.root / 'pretrained.pth'
    torch.save(killed.weights(9), file)
    if ours:
        file.write_bytes((killed.experiment / 'models/net_g_9.pth').read_bytes())
    data = bytearray(file.read_bytes())
    weight = killed.weights(9)['params'].popitem()[1].numpy().tobytes()
    data[data.index(weight)] ^= 1
    file.write_bytes(data)
    killed.options['path']['pretrain_network_g'] = 'pretrained.pth'
    killed.options['name'] = 'anew'
    killed.write()
    what, _, _ = refused(trainer(killed, code=2))
    assert what.startswith('path.pretrain_network_g: ') and 'pretrained.pth' in what and 'changed' in what

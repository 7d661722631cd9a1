"""What must hold whatever the options say: mini-batches are the plan's, and features act on networks of any name."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mg_basicsr.errors import EXIT_CODE
from tests.helpers.project import BLOCK, Project, same_weights
from tests.helpers.trainer import Trainer

# A train loop that goes through a loader of its own; {prefetcher} may make a prefetcher that it does not use.
OWN_LOADER = """
import mg_basicsr, os, torch
from basicsr.data.prefetch_dataloader import CPUPrefetcher
from basicsr.models import build_model
from basicsr.utils import make_exp_dirs, get_root_logger
from basicsr.utils.options import parse_options

class FullShape(torch.utils.data.Dataset):
    def __len__(self):
        return 24
    def __getitem__(self, index):
        return {{'lq': torch.rand(6, 3, 16, 16), 'gt': torch.rand(6, 3, 64, 64), 'key': str(index)}}

opt, _ = parse_options(os.getcwd(), is_train=True)
make_exp_dirs(opt)
logger = get_root_logger(log_file='log.txt')
loader = torch.utils.data.DataLoader(FullShape(), batch_size=2)
model = build_model(opt)
{prefetcher}
for current_iter, batch in enumerate(loader, 1):
    model.update_learning_rate(current_iter, warmup_iter=-1)
    model.feed_data(batch)
    model.optimize_parameters(current_iter)
model.save(-1, -1)
"""


@pytest.fixture
def project(tmp_path: Path, clips: Path) -> Project:
    found = Project(tmp_path, clips)
    found.shrink()
    found.options['datasets']['train']['num_worker_per_gpu'] = 0
    return found


@pytest.mark.parametrize('check', [True, False])
@pytest.mark.parametrize(
    ('prefetcher', 'told'),
    [
        ('', 'the train loop has made no prefetcher of BasicSR'),
        ('CPUPrefetcher(loader)', 'calls update_learning_rate(1) with no mini-batch of the plan'),
    ],
    ids=['none', 'unused'],
)
def test_mini_batches_of_the_host_s_own_loader(
    trainer: Trainer, project: Project, prefetcher: str, told: str, check: bool
) -> None:
    project.write({**BLOCK, 'check': check})
    output = trainer(project, script=OWN_LOADER.format(prefetcher=prefetcher), code=EXIT_CODE)
    assert told in output and 'Traceback' not in output
    assert not list(project.experiment.glob('models/*'))


# The same model with its network, optimiser's network and moving average under other names.
RENAMED = """
import mg_basicsr
from basicsr.models.video_recurrent_model import VideoRecurrentModel
from basicsr.utils.registry import MODEL_REGISTRY

class Renamed:
    def __get__(self, model, owner):
        return model.generator
    def __set__(self, model, network):
        model.generator = network

class RenamedAverage:
    def __get__(self, model, owner):
        return model.smooth
    def __set__(self, model, network):
        model.smooth = network

@MODEL_REGISTRY.register()
class RenamedModel(VideoRecurrentModel):
    net_g = Renamed()
    net_g_ema = RenamedAverage()
"""
OPTIONS = {'precision': 'bfloat16', 'channels_last': True, 'base_batch_size': 2, 'max_clips': 1}


def test_features_act_on_networks_of_any_name(trainer: Trainer, project: Project) -> None:
    project.options['logger']['save_checkpoint_freq'] = 4
    weights = []
    for model_type in ('VideoRecurrentModel', 'RenamedModel'):
        project.options |= {'name': model_type, 'model_type': model_type}
        project.write({**BLOCK, **OPTIONS})
        trainer(project, before=RENAMED)
        weights.append(project.weights())
    log = project.log()
    assert 'generator trains in bfloat16' in log
    assert 'generator, smooth: weights are channels last in memory' in log
    assert 'generator: gradients of several passes' in log
    assert same_weights(*weights)

    # what the host has not loaded is put back from the files of the checkpoint
    for path in [
        *project.experiment.glob('*/*8*'),
        *project.experiment.glob('*/*12*'),
        *project.experiment.glob('models/*latest*'),
    ]:
        path.unlink()
    spoil = """
from basicsr.models.base_model import BaseModel
load = BaseModel.load_network
def half(self, net, path, strict=True, param_key='params'):
    if param_key == 'params':
        load(self, net, path, strict, param_key)
BaseModel.load_network = half
"""
    trainer(project, '--auto_resume', before=spoil + RENAMED)
    assert 'resumed from' in project.log() and len(project.losses()) == 8
    assert same_weights(project.weights(), weights[0])


def test_networks_without_the_usual_name_differ_from_those_in_float32(trainer: Trainer, project: Project) -> None:
    """The comparison above can fail."""
    found = []
    for precision in ('float32', 'bfloat16'):
        project.options |= {'name': precision, 'model_type': 'RenamedModel'}
        project.write({**BLOCK, 'precision': precision})
        trainer(project, before=RENAMED)
        found.append(project.weights())
    assert not same_weights(*found)
    assert all(torch.isfinite(value).all() for value in found[1]['params'].values())

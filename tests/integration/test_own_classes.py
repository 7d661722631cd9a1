"""Classes of a repository's own under the names of BasicSR's: what they do decides, not what they are called."""

from __future__ import annotations

from pathlib import Path

import pytest

from mg_basicsr.errors import EXIT_CODE
from tests.helpers.project import BLOCK, Project
from tests.helpers.trainer import Trainer

SCHEDULER = """
import mg_basicsr
import torch
from basicsr.models import lr_scheduler

class CosineAnnealingRestartLR(torch.optim.lr_scheduler.LambdaLR):
    def __init__(self, optimizer, periods, restart_weights=(1,), eta_min=0):
        super().__init__(optimizer, lambda iteration: 1 / (1 + iteration))

lr_scheduler.CosineAnnealingRestartLR = CosineAnnealingRestartLR
"""


@pytest.fixture
def project(tmp_path: Path, clips: Path) -> Project:
    found = Project(tmp_path, clips)
    found.shrink()
    return found


@pytest.mark.parametrize(
    ('curve', 'part', 'figures'),
    [
        ('host', 'rates', 'at iteration 2 its rate is 0.0005, by the options 0.000982965'),
        ('restart', 'lowest rate', 'at iteration 13 its rate is 7.69231e-05, by the options 1e-07'),
    ],
)
def test_a_scheduler(trainer: Trainer, project: Project, curve: str, part: str, figures: str) -> None:
    project.write({**BLOCK, 'lr_schedule': curve})
    output = trainer(project, before=SCHEDULER, code=EXIT_CODE)
    told = f'the plan takes its {part} from here, but __main__.CosineAnnealingRestartLR is not what the options say: '
    assert told + figures in output and 'Traceback' not in output
    assert not list(project.experiment.glob('models/*'))


SCRIPT = """
import os
import torch
import basicsr.data
from basicsr.utils.registry import DATASET_REGISTRY

class REDSRecurrentDataset(torch.utils.data.Dataset):
    def __init__(self, opt):
        self.opt, self.flips, self.root = opt, opt['use_flip'], opt['io_backend']['root']

    def __len__(self):
        return 8

    def __getitem__(self, index):
        size, scale = self.opt['gt_size'], self.opt['scale']
        gt = torch.rand(self.opt['num_frame'], 3, size, size)
        return {'lq': gt[..., ::scale, ::scale].contiguous(), 'gt': gt, 'key': str(index)}

DATASET_REGISTRY._obj_map['REDSRecurrentDataset'] = REDSRecurrentDataset
if __name__ == '__main__':
    from basicsr.train import train_pipeline
    train_pipeline(os.getcwd())
"""


@pytest.fixture
def own_options(project: Project) -> Project:
    """A project whose script registers its own class under a name of BasicSR's, with options of its own."""
    train_set = project.options['datasets']['train']
    train_set |= {'use_flip': train_set.pop('use_hflip'), 'io_backend': {'type': 'archive', 'root': 'clips.tar'}}
    (project.root / 'train.py').write_text(SCRIPT)
    project.write()
    return project


def test_options_of_a_repositorys_own_class_are_not_checked(trainer: Trainer, own_options: Project) -> None:
    trainer.launch(own_options, '-m', 'mg_basicsr', 'run', 'train.py', '-opt', 'train.yml')
    log = own_options.log()
    assert 'iter:      12' in log and 'stage: 2/' in log
    done = trainer.train(own_options, check=False)  # BasicSR's class has no such options
    assert done.returncode == EXIT_CODE and 'Traceback' not in done.stderr
    assert 'datasets.train.use_hflip: missing' in done.stderr
    assert '`run` and `check --script`' in done.stderr


OWN_NETWORK = """
from mg_basicsr.demo.network import MultigridDemoNet
from basicsr.utils.registry import ARCH_REGISTRY
ARCH_REGISTRY._obj_map['TheirNet'] = type('TheirNet', (MultigridDemoNet,), {})
"""


def test_check_with_the_classes_of_a_script(trainer: Trainer, own_options: Project) -> None:
    own_options.options['network_g']['type'] = 'TheirNet'
    own_options.write()
    (own_options.root / 'train.py').write_text(OWN_NETWORK + SCRIPT)
    check = ('-m', 'mg_basicsr', 'check', '-opt', 'train.yml', '--no-stock', '--no-others')
    assert 'every shape works' in trainer.launch(own_options, *check, '--script', 'train.py').stdout

    train_set = own_options.options['datasets']['train']  # of BasicSR's class, so that the network alone is unknown
    train_set |= {'use_hflip': train_set.pop('use_flip'), 'io_backend': {'type': 'disk'}}
    own_options.write()
    done = trainer.launch(own_options, *check, check=False)
    assert done.returncode == EXIT_CODE and 'Traceback' not in done.stderr
    assert "network_g.type: 'TheirNet' is not registered" in done.stderr
    assert '--script path/to/train.py' in done.stderr and 'would fail' not in done.stderr

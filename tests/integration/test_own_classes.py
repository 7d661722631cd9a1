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

"""Runs with the options that speed up a step: the same training within rounding, the same checkpoints."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.helpers.project import BLOCK, Project
from tests.helpers.trainer import Trainer

OPTIONS = {'channels_last': True, 'fused_optimizer': True, 'compile': True, 'tf32': True, 'cudnn_benchmark': False}

# torch.compile as a note of what was compiled, so that no compiler is needed; and the state of a step of training
SPY = """
import torch, mg_basicsr
from basicsr.models.sr_model import SRModel
torch.compile = lambda function, **options: lambda *args, **kwargs: function(*args, **kwargs)
optimize = SRModel.optimize_parameters
def spy(self, current_iter):
    optimize(self, current_iter)
    weight = self.get_bare_model(self.net_g).backward_trunk[0].weight
    group = self.optimizer_g.param_groups[0]
    print('STEP', current_iter, group['fused'], weight.is_contiguous(memory_format=torch.channels_last),
          self.optimizer_g.state[weight]['exp_avg'].stride() == weight.stride(),
          torch.backends.cudnn.benchmark, torch.backends.cuda.matmul.allow_tf32)
SRModel.optimize_parameters = spy
"""


def make(root: Path, clips: Path) -> Project:
    root.mkdir()
    project = Project(root, clips)
    project.options['network_g'] = {'type': 'MultigridDemoNet', 'num_feat': 4}
    project.options['datasets']['train']['num_worker_per_gpu'] = 0
    project.options['train'] |= {'fix_flow': None, 'flow_lr_mul': 1}
    return project


def steps(output: str) -> set[str]:
    return {line.split(maxsplit=2)[2] for line in output.splitlines() if line.startswith('STEP')}


def test_the_same_training_and_the_same_checkpoint(trainer: Trainer, tmp_path: Path, clips: Path) -> None:
    plain, fast = make(tmp_path / 'plain', clips), make(tmp_path / 'fast', clips)
    plain.write(BLOCK)
    fast.write({**BLOCK, **OPTIONS})
    assert steps(trainer(plain, before=SPY)) == {'None False True True False'}
    output = trainer(fast, before=SPY)
    assert steps(output) == {'True True True False True'}
    assert 'net_g is compiled in parts: backward_trunk, forward_trunk, upsample' in output
    assert 'net_g_ema is compiled' not in output
    expected, found = plain.weights(), fast.weights()
    for group in expected:
        assert found[group].keys() == expected[group].keys()
        for key, value in expected[group].items():
            torch.testing.assert_close(found[group][key], value, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(('before', 'after'), [({}, OPTIONS), (OPTIONS, {})])
def test_a_run_goes_on_with_other_options(
    trainer: Trainer, tmp_path: Path, clips: Path, before: dict[str, bool], after: dict[str, bool]
) -> None:
    project = make(tmp_path / 'run', clips)
    project.options['train']['total_iter'] = 12
    project.write({**BLOCK, **before})
    trainer(project, before=SPY)
    for name in ('net_g_12.pth', 'net_g_latest.pth'):
        (project.experiment / 'models' / name).unlink()
    (project.experiment / 'training_states' / '12.state').unlink()
    project.write({**BLOCK, **after})
    output = trainer(project, '--auto_resume', before=SPY)
    assert 'STEP 7 ' in output and 'STEP 6 ' not in output
    on = bool(after)
    assert steps(output) == {f'{on or None} {on} True {not on} {on}'}


def test_an_optimiser_without_a_fused_form_ends_the_run_at_its_start(
    trainer: Trainer, tmp_path: Path, clips: Path
) -> None:
    project = make(tmp_path / 'adamax', clips)
    project.write({**BLOCK, 'fused_optimizer': True})
    adamax = 'import torch, mg_basicsr\ntorch.optim.Adam = torch.optim.Adamax\n'  # BasicSR 1.4.2 has no other name
    output = trainer(project, before=adamax, code=2)
    assert 'multigrid.fused_optimizer: true, but Adamax has no fused form on cpu' in output
    assert 'Traceback' not in output

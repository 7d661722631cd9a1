"""Ranks that meet through gloo on the CPU: one run, disjoint clips, the same shapes, and the same end."""

from __future__ import annotations

import torch

from tests.helpers.networks import NARROW_FLOW
from tests.helpers.project import BLOCK, Project
from tests.helpers.ranks import torchrun


def fed(project: Project, rank: int) -> list:
    import json

    return [json.loads(line) for line in (project.root / f'fed_{rank}.txt').read_text().splitlines()]


def test_module_under_torchrun_runs_a_script_with_spawned_workers(trainer, project):
    """`torchrun -m mg_basicsr run train.py`: BasicSR's launcher spawns the workers, which import the script anew."""
    project.shrink(batch_size_per_gpu=1, num_worker_per_gpu=1)
    project.write({**BLOCK, 'base_batch_size': 2})
    (project.root / 'plain.py').write_text(
        'import os\nfrom basicsr.train import train_pipeline\n'
        'if __name__ == "__main__":\n    train_pipeline(os.getcwd())\n'
    )
    torchrun(trainer, project, 2, '-m', 'mg_basicsr', 'run', 'plain.py')
    assert 'iter:      12, ' in project.log()


# at the top of a train.py: the ranks, and each rank's mini-batches noted as they are fed: the shape and the keys
SPY = """
import json
from tests.helpers.ranks import fork_ranks
fork_ranks({world_size})
import mg_basicsr
from mg_basicsr.host.data import loader
make = loader.PlannedLoader._batch
def spy(self, iteration):
    batch = make(self, iteration)
    with open(f'fed_{{self.run.rank}}.txt', 'a') as file:
        file.write(json.dumps([iteration, list(batch['lq'].shape), batch['key']]) + '\\n')
    return batch
loader.PlannedLoader._batch = spy
"""


def test_two_ranks_share_the_global_batch(trainer, new_project):
    """The flow network is frozen at first, and nothing in the file tells DDP so."""
    notes = {}
    for ranks in (1, 2):
        project = new_project()
        project.options['datasets']['train'] |= {'batch_size_per_gpu': 1, 'num_worker_per_gpu': 0}
        del project.options['val'], project.options['datasets']['val']
        project.write({**BLOCK, 'base_batch_size': 2})
        launcher = ('--launcher', 'pytorch') if ranks > 1 else ()
        trainer(project, *launcher, before=SPY.format(world_size=ranks) + NARROW_FLOW)
        notes[ranks] = [fed(project, rank) for rank in range(ranks)]
        assert 'iter:      12, ' in project.log() and 'iter:      13' not in project.log()
    first, second = notes[2]
    assert [entry[0] for entry in first] == [entry[0] for entry in second] == list(range(12))
    assert [entry[1] for entry in first] == [entry[1] for entry in second]
    assert first[0][1] == [1, 3, 3, 8, 8] and first[-1][1] == [1, 6, 3, 16, 16]
    assert all(mine[2] != other[2] for mine, other in zip(first, second, strict=True))
    together = [mine[2] + other[2] for mine, other in zip(first, second, strict=True)]
    assert together == [entry[2] for entry in notes[1][0]]


# at the top of a train.py: the ranks, numbers in float64, and each rank's mini-batches noted as they are fed
FORKED = """
import json
from tests.helpers.ranks import fork_ranks
fork_ranks({world_size})
import torch
import mg_basicsr
from mg_basicsr.host.data import loader
torch.set_default_dtype(torch.float64)
make = loader.PlannedLoader._batch
def double(self, iteration):
    batch = make(self, iteration)
    with open(f'fed_{{self.run.rank}}.txt', 'a') as file:
        file.write(json.dumps([iteration, list(batch['lq'].shape), batch['key']]) + '\\n')
    return {{**batch, 'lq': batch['lq'].double(), 'gt': batch['gt'].double()}}
loader.PlannedLoader._batch = double
"""


def test_one_two_and_four_ranks_end_with_the_same_weights(trainer, new_project):
    """In float64, after 50 steps of which the last stages are accumulated over 4 / ranks passes."""
    clips_of, weights = {}, {}
    for ranks in (1, 2, 4):
        project = new_project()
        project.options['network_g'] = {'type': 'MultigridDemoNet', 'num_feat': 4}
        project.options['datasets']['train'] |= {'batch_size_per_gpu': 1, 'num_worker_per_gpu': 0}
        project.options['train'] |= {'total_iter': 50, 'fix_flow': None, 'flow_lr_mul': 1}
        del project.options['val']
        project.write({**BLOCK, 'base_batch_size': 4, 'check': False})  # whose clips are not in float64
        trainer(project, '--launcher', 'pytorch', before=FORKED.format(world_size=ranks))
        notes = [fed(project, rank) for rank in range(ranks)]
        clips_of[ranks] = [[key for note in step for key in note[2]] for step in zip(*notes, strict=True)]
        weights[ranks] = project.weights()
    assert len(clips_of[1]) == 50 and clips_of[1] == clips_of[2] == clips_of[4]
    start, end = weights[1]['params'], weights[1]['params_ema']
    assert max((start[key] - end[key]).abs().max() for key in start) > 1e-4  # the average is behind: it did train
    for ranks in (2, 4):
        for group, network in weights[1].items():
            for key, value in network.items():
                assert value.dtype == torch.float64
                apart = float((weights[ranks][group][key] - value).norm() / value.norm())
                assert apart <= 1e-8, (ranks, group, key)


# what srun leaves in the environment of a task, in place of what torchrun does
SLURM = """
import os
rank, ranks = os.environ.pop('RANK'), os.environ.pop('WORLD_SIZE')
port = os.environ.pop('MASTER_PORT')
for name in ('MASTER_ADDR', 'LOCAL_RANK'):
    del os.environ[name]
os.environ.update(SLURM_PROCID=rank, SLURM_NTASKS=ranks, SLURM_LOCALID=rank, SLURM_NODELIST='node[1-2]',
                  MASTER_PORT=port, PATH=os.getcwd() + os.pathsep + os.environ['PATH'])
"""


def test_slurm_launches_the_same_run(trainer, new_project):
    """Its tasks find each other through the first host that `scontrol` names, here a script of that name."""
    fed_by = {}
    for launcher in ('pytorch', 'slurm'):
        project = new_project()
        project.options['network_g'] = {'type': 'MultigridDemoNet', 'num_feat': 4}
        project.options['datasets']['train'] |= {'batch_size_per_gpu': 1, 'num_worker_per_gpu': 0}
        project.options['train'] |= {'fix_flow': None, 'flow_lr_mul': 1}
        del project.options['val'], project.options['dist_params']['port']
        project.write({**BLOCK, 'base_batch_size': 2, 'check': False})
        scontrol = project.root / 'scontrol'
        scontrol.write_text('#!/bin/sh\necho 127.0.0.1\necho elsewhere\n')
        scontrol.chmod(0o755)
        forked = FORKED.format(world_size=2)
        as_slurm = forked.replace('import torch\n', SLURM + 'import torch\n', 1)
        trainer(project, '--launcher', launcher, before=as_slurm if launcher == 'slurm' else forked)
        fed_by[launcher] = [fed(project, rank) for rank in range(2)]
    assert len(fed_by['slurm'][0]) == 12 and fed_by['slurm'] == fed_by['pytorch']

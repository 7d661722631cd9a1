"""`mg-basicsr check`, and the same at the start of training: shapes that fail are named, and nothing is touched."""

from __future__ import annotations

import json
import resource
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.helpers.clips import write_clips
from tests.helpers.networks import NARROW_FLOW
from tests.helpers.project import BLOCK, NewProject, Project, same_weights
from tests.helpers.ranks import torchrun
from tests.helpers.trainer import TRAIN, Trainer

CHECK = '\nfrom mg_basicsr.cli.main import main\nimport sys\nmain(["check", *sys.argv[1:]])\n'

# Networks that refuse something, or remember what passes through them
NETWORKS = (
    NARROW_FLOW
    + """
import random, torch
from basicsr.archs.basicvsr_arch import BasicVSR
from basicsr.utils.registry import ARCH_REGISTRY
from mg_basicsr.demo.network import MultigridDemoNet

@ARCH_REGISTRY.register()
class Large(MultigridDemoNet):
    def forward(self, x):
        assert x.shape[-1] >= 16, f'needs 16 x 16, not {x.shape[-1]} x {x.shape[-1]}'
        return super().forward(x)

@ARCH_REGISTRY.register()
class Windows(MultigridDemoNet):
    def forward(self, x):
        if x.shape[-1] % 8:
            raise ValueError('not a multiple of the window')
        return super().forward(x)

@ARCH_REGISTRY.register()
class Long(MultigridDemoNet):
    def forward(self, x):
        return super().forward(x[:, [0, 1, 2, 3]])[:, [0] * x.shape[1]]

@ARCH_REGISTRY.register()
class Broken(MultigridDemoNet):
    def forward(self, x):
        return super().forward(x).flatten(2)

@ARCH_REGISTRY.register()
class Hungry(MultigridDemoNet):
    def forward(self, x):
        if x.numel() > 2 * 4 * 3 * 16 * 16:
            raise torch.cuda.OutOfMemoryError('CUDA out of memory. Tried to allocate 7.00 GiB.')
        return super().forward(x)

class Remembers(torch.nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner
        self.norm = torch.nn.BatchNorm2d(3)
        self.noise = torch.nn.Parameter(torch.zeros(1))
        self.mean, self.seen = torch.zeros(3), []

    def forward(self, x):
        self.seen.append(len(self.seen))
        self.mean.add_(x.detach().mean((0, 1, 3, 4)))
        y = self.norm(x.flatten(0, 1)).view_as(x) * (1 + len(self.seen) / 100) + self.mean.view(3, 1, 1) / 100
        return self.inner(y + self.noise * torch.rand_like(y) * random.random())

@ARCH_REGISTRY.register()
class Remembering(Remembers):
    def __init__(self, **kwargs):
        super().__init__(MultigridDemoNet(**kwargs))

@ARCH_REGISTRY.register()
class RememberingBasicVSR(Remembers):
    def __init__(self, **kwargs):
        net = BasicVSR(**kwargs)
        super().__init__(net)
"""
)


@pytest.fixture
def small(new_project: NewProject) -> NewProject:
    """Makes a small project."""

    def make() -> Project:
        project = new_project()
        project.shrink()
        return project

    return make


def network(project: Project, kind: str, **options: Any) -> Project:
    project.options['network_g'] = {'type': kind, 'num_feat': 4, 'num_block': 1, **options}
    return project


def told(output: str) -> list[str]:
    """The message: the last three lines."""
    assert 'Traceback' not in output
    return output.strip().splitlines()[-3:]


MISTAKES = {
    'Large': ('stage 3: 2 clips x 6 frames x 32 px (LQ 8)', 'AssertionError: needs 16 x 16', 'spatial: [1.0]'),
    'Windows': ('stage 3: 2 clips x 6 frames x 48 px (LQ 12)', 'ValueError: not a mult', 'lq_multiple: 8'),
    'Long': ('stage 4: 2 clips x 3 frames x 64 px (LQ 16)', 'IndexError: index 3 is out', 'min_frames: 4'),
    'Broken': ('stage 6: 2 clips x 6 frames x 64 px (LQ 16)', 'Error', "file's own shape fails too"),
    'Hungry': ('stage 6: 2 clips x 6 frames x 64 px (LQ 16)', 'out of memory. Tried to allocate 7', 'max_clips: 1'),
}  # fmt: skip


@pytest.mark.parametrize('kind', MISTAKES)
@pytest.mark.parametrize('way', ['check', 'train'])
def test_a_shape_that_fails(trainer: Trainer, small: NewProject, kind: str, way: str) -> None:
    """Named with its stage, the network's words and a remedy; and the remedy works."""
    project = network(small(), kind)
    block = {**BLOCK, 'spatial': [0.75, 1.0]} if kind == 'Windows' else dict(BLOCK)
    project.write(block)
    output = trainer(project, before=NETWORKS, script=CHECK if way == 'check' else TRAIN, code=2)
    message = told(output)
    shape, words, remedy = MISTAKES[kind]
    assert message[0].startswith(shape) and words in message[0]
    assert remedy in ' '.join(message[1:])
    if way == 'check':
        assert not project.experiment.exists()
        assert sorted(path.name for path in project.root.iterdir()) == ['output.txt', 'train.py', 'train.yml']
        return
    assert 'iter:       1' not in project.log()
    if kind != 'Broken':
        key, value = remedy.split(': ')
        project.write({**block, key: json.loads(value)})
        trainer(project, before=NETWORKS)
        assert len(project.losses()) == 12


def test_basicvsrpp_refuses_lq_32(small: NewProject) -> None:
    """The real network, as a command, within the first minute of a processor, whatever else it has to do."""
    project = small()
    project.options['network_g'] = {
        'type': 'BasicVSRPlusPlus', 'mid_channels': 4, 'num_blocks': 1, 'is_low_res_input': True, 'spynet_path': None,
    }  # fmt: skip
    large_frames(project)
    project.options['datasets']['train'] |= {'gt_size': 256, 'num_frame': 3, 'batch_size_per_gpu': 1}
    project.write({'preset': 'lin2022', 'temporal': [1.0]})
    start = processor_seconds()
    done = project.launch('-m', 'mg_basicsr', 'check', '-opt', 'train.yml', check=False)
    seconds = processor_seconds() - start
    assert done.returncode == 2 and done.stdout == ''
    message = told(done.stderr)
    assert message[0].startswith('stage 1: 1 clips x 3 frames x 128 px (LQ 32) on one rank: AssertionError: The height')
    assert message[1:] == ['  this network takes the full size, LQ 64', '  set multigrid.spatial: [1.0]']
    assert seconds < 60
    assert not project.experiment.exists()


def processor_seconds() -> float:
    """Processor time of the processes that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def large_frames(project: Project) -> None:
    """A set whose frames hold a crop of 256 pixels."""
    write_clips(project.root, {'001': 5}, shape=(256, 256))
    (project.root / 'meta.txt').write_text('001 5 (256,256,3)\n')
    project.options['datasets']['train'] |= {
        'dataroot_gt': str(project.root / 'GT'), 'dataroot_lq': str(project.root / 'LQ'),
        'meta_info_file': str(project.root / 'meta.txt'),
    }  # fmt: skip


def test_a_memory_limit(trainer: Trainer, small: NewProject) -> None:
    """Real memory that runs out: the process may map 700 MiB more than it has when the check begins.

    How many clips fit into that depends on how the process's memory lies; all eight never do.

    It is killed if that takes a minute of a processor.
    """
    project = network(small(), 'MultigridDemoNet', num_feat=64)
    large_frames(project)
    project.options['datasets']['train'] |= {'gt_size': 256, 'num_frame': 5, 'batch_size_per_gpu': 8}
    project.write({'preset': 'lin2022', 'temporal': [1.0]})
    limit = (
        'import resource\n'
        'size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()\n'
        'resource.setrlimit(resource.RLIMIT_AS, (size + (700 << 20), -1))\n'
        'resource.setrlimit(resource.RLIMIT_CPU, (60, 60))\n'
    )
    output = trainer(project, before=limit, script=CHECK, code=2)
    message = told(output)
    assert message[0].startswith('stage 2: 8 clips x 5 frames x 256 px (LQ 64) on one rank: ')
    assert "can't allocate memory" in message[0]
    clips = message[1].split()[3]
    assert message[1] == f'  out of memory; {clips} of these clips fit' and clips in ('4', '2', '1')
    assert message[2] == f'  set multigrid.max_clips: {clips} (the same batch in more passes)'
    assert not project.experiment.exists()


ACCUMULATE = {'base_batch_size': 4, 'batch_size': 8, 'max_clips': 2}


@pytest.mark.parametrize(
    ('kind', 'block'),
    [
        pytest.param('Remembering', {}, id='one pass'),
        pytest.param('Remembering', ACCUMULATE, id='accumulate'),
        pytest.param('RememberingBasicVSR', {}, id='frozen'),
        pytest.param('RememberingBasicVSR', ACCUMULATE, id='frozen and accumulate', marks=pytest.mark.slow),
    ],
)
def test_a_check_leaves_no_trace(trainer: Trainer, small: NewProject, kind: str, block: dict[str, Any]) -> None:
    """Weights, statistics, moving average and optimiser: as without it, to the bit; also with a part that is frozen."""
    runs = []
    for checked in (True, False):
        project = network(small(), kind)
        if kind == 'RememberingBasicVSR':
            project.options['train'] |= {'fix_flow': 3, 'flow_lr_mul': 0.125}
            project.options['train']['total_iter'] = 12 if block else 6  # six steps either way
            project.options['network_g']['spynet_path'] = None
            project.options['datasets']['train']['num_frame'] = 3
        project.options['logger']['save_checkpoint_freq'] = 3
        project.write({**BLOCK, **block, 'check': checked})
        trainer(project, before=NETWORKS)
        assert ('shapes tried forward and backward' in project.log()) is checked
        runs.append(project)
    same_runs(*runs)
    weights = runs[0].weights()
    assert weights['params']['norm.num_batches_tracked'] > 0
    assert not torch.equal(weights['params']['noise'], torch.zeros(1))


def same_runs(first: Project, second: Project) -> None:
    assert first.losses() == second.losses() and first.losses()
    assert same_weights(first.weights(3), second.weights(3))
    assert same_weights(first.weights(), second.weights())
    states = [torch.load(run.experiment / 'training_states/3.state', weights_only=True) for run in (first, second)]
    assert equal(*states)


def equal(first: Any, second: Any) -> bool:
    """Equal to the bit, tensors inside included."""
    if torch.is_tensor(first):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(equal(first[key], second[key]) for key in first)
    if isinstance(first, (list, tuple)):
        return len(first) == len(second) and all(map(equal, first, second))
    return bool(first == second)


def test_a_resumed_run_is_checked_and_untouched(trainer: Trainer, small: NewProject) -> None:
    undisturbed = small()
    undisturbed.options['logger']['save_checkpoint_freq'] = 3
    undisturbed.write()
    trainer(undisturbed)
    project = small()
    for folder, name in (('models', 'net_g_3.pth'), ('training_states', '3.state')):
        (project.experiment / folder).mkdir(parents=True)
        shutil.copy(undisturbed.experiment / folder / name, project.experiment / folder)
    project.write()
    trainer(project, '--auto_resume')
    assert project.log().count('shapes tried') == 1 and 'iter: 3.' in project.log()
    assert project.losses() == undisturbed.losses()[3:]
    assert same_weights(project.weights(), undisturbed.weights())


@pytest.mark.slow
def test_two_ranks_leave_no_trace(trainer: Trainer, small: NewProject) -> None:
    """DistributedDataParallel looks for parameters without a gradient in its first iteration: nothing may be noted."""
    runs = []
    for checked in (True, False):
        project = network(small(), 'RememberingBasicVSR', spynet_path=None)
        project.options['find_unused_parameters'] = True
        project.options['train'] |= {'fix_flow': 3, 'flow_lr_mul': 0.125}
        project.options['logger']['save_checkpoint_freq'] = 3
        project.options['datasets']['train']['batch_size_per_gpu'] = 1
        project.write({**BLOCK, 'check': checked})
        (project.root / 'script.py').write_text(NETWORKS + TRAIN)
        torchrun(trainer, project, 2, 'script.py')
        assert ('shapes tried' in project.log()) is checked
        runs.append(project)
    same_runs(*runs)


@pytest.mark.slow
def test_a_rank_that_fails_ends_the_others(trainer: Trainer, small: NewProject) -> None:
    project = network(small(), 'MultigridDemoNet')
    project.options['datasets']['train']['batch_size_per_gpu'] = 1
    project.write()
    fails = (
        'import mg_basicsr, os\nfrom mg_basicsr.demo.network import MultigridDemoNet\n'
        'forward = MultigridDemoNet.forward\n'
        'def failing(self, x):\n'
        '    assert os.environ["RANK"] == "0" or x.shape[1] > 3, "no"\n'
        '    return forward(self, x)\n'
        'MultigridDemoNet.forward = failing\n'
    )
    (project.root / 'script.py').write_text(fails + TRAIN)
    with pytest.raises(AssertionError) as caught:
        torchrun(trainer, project, 2, 'script.py')
    assert 'stage 4: 1 clips x 3 frames' in str(caught.value)
    assert 'rank 1 cannot train' in str(caught.value)


def test_json(trainer: Trainer, small: NewProject) -> None:
    project = small()
    project.options['datasets']['train']['num_worker_per_gpu'] = 1
    project.write({**BLOCK, 'base_batch_size': 4, 'batch_size': 8})
    done = trainer.launch(project, '-m', 'mg_basicsr', 'check', '-opt', 'train.yml', '--json')
    printed = json.loads(done.stdout)
    plan = json.loads(project.launch('-m', 'mg_basicsr', 'plan', '-opt', 'train.yml', '--json').stdout)
    hours = printed.pop('hours')
    measured = [(stage.pop('seconds_per_iter'), stage.pop('peak_memory_mib')) for stage in printed['stages']]
    assert printed == plan
    assert all(seconds > 0 and peak is None for seconds, peak in measured)
    assert measured[-1][0] > measured[0][0]  # 32 times the pixels
    total = sum(stage['iters'] * seconds for stage, (seconds, _) in zip(plan['stages'], measured, strict=True))
    assert hours['multigrid'] == pytest.approx(total / 3600)
    assert hours['baseline'] == pytest.approx(12 * measured[-1][0] / 2 / 3600, rel=0.7)  # half of the clips
    assert sorted(path.name for path in project.root.iterdir()) == ['train.yml']


def test_table(trainer: Trainer, small: NewProject) -> None:
    project = small()
    project.write({**BLOCK, 'temporal': [1.0]})
    output = trainer(project, before='import mg_basicsr, sys\nsys.stderr = open("errors.txt", "w")\n', script=CHECK)
    title, head, *rows = output.splitlines()
    assert title == 'train.yml: every shape works on one rank of 1 (CPU, 1 thread)'
    assert head.split() == ['iterations', 'clips', 'frames', 'GT', 'LQ', 'MiB', 'step', 'loading', 's/iter', 'time']
    assert [row.split()[:7] for row in rows[:3]] == [
        ['1', '6', '2', '6', '32', '8', '-'],
        ['2', '6', '2', '6', '64', '16', '-'],
        ['stock', '12', '2', '6', '64', '16', '-'],
    ]
    assert 'started now, it ends on' in ' '.join(rows[3:])


@pytest.mark.parametrize('case', ['frame', 'validation', 'network', 'gpu', 'damaged'])
def test_what_else_can_fail(trainer: Trainer, small: NewProject, clips: Path, case: str) -> None:
    project = small()
    copy = project.root / 'copy'
    shutil.copytree(clips, copy)
    for side in ('gt', 'lq'):
        project.options['datasets']['train'][f'dataroot_{side}'] = str(copy / side.upper())
    if case == 'frame':
        (copy / 'LQ/002/00000011.png').unlink()
        expected = ['00000011.png', '002']
    elif case == 'validation':
        project.options['datasets']['val'] = {'name': 'x', 'type': 'y', 'dataroot_gt': 'nowhere'}
        expected = ["datasets.val.type: 'y' is not registered", '--script']
    elif case == 'network':
        project.options['network_g']['type'] = 'NoSuchNetwork'
        expected = ['network_g', 'NoSuchNetwork']
    elif case == 'gpu':
        project.options['num_gpu'] = 1
        expected = ['num_gpu: 1', 'num_gpu=0']
    else:
        for path in (copy / 'GT').rglob('*.png'):
            path.write_bytes(path.read_bytes()[:2000])
        expected = ['GT/00', 'png']
    project.write()
    output = trainer(project, before='import mg_basicsr\n', script=CHECK, code=2)
    assert 'Traceback' not in output
    assert all(text in output for text in expected), output
    assert not project.experiment.exists()

"""Train loops, BasicSR's and others: from the first iteration, from a checkpoint, to the end."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from mg_basicsr.host.entry.command_line import parse_command_line
from mg_basicsr.host.entry.start import start_run
from mg_basicsr.host.patches.hooks import patch_prefetchers
from mg_basicsr.host.run import activate
from tests.helpers.project import BLOCK, NewProject, Project, same_weights
from tests.helpers.trainer import TRAIN, Trainer

Make = Callable[..., Project]

# A repository's script of its own: no epochs, a scaler handed to the model, options as BasicSR's parser gives them
OWN_LOOP = """
import mg_basicsr, os
from basicsr.data import build_dataloader, build_dataset
from basicsr.data.data_sampler import EnlargedSampler
from basicsr.data.prefetch_dataloader import CPUPrefetcher
from basicsr.models import build_model
from basicsr.models.video_recurrent_model import VideoRecurrentModel
from basicsr.utils import make_exp_dirs, get_root_logger
from basicsr.utils.options import parse_options
from basicsr.utils.registry import MODEL_REGISTRY

@MODEL_REGISTRY.register()
class ScaledModel(VideoRecurrentModel):
    def optimize_parameters(self, scaler, current_iter):
        super().optimize_parameters(current_iter)
        scaler.append(current_iter)

opt, _ = parse_options(os.getcwd(), is_train=True)
opt['auto_resume'] = False
make_exp_dirs(opt)
logger = get_root_logger(log_file='log.txt')
train_opt = opt['datasets']['train']
train_set = build_dataset(train_opt)
sampler = EnlargedSampler(train_set, 1, 0, 1)
loader = build_dataloader(train_set, train_opt, num_gpu=0, dist=False, sampler=sampler, seed=0)
model = build_model(opt)
last = opt['train']['total_iter']
prefetcher, scaler, current_iter, passes = CPUPrefetcher(loader), [], 0, 0
while current_iter <= last:
    passes += 1
    assert passes < 100, 'spins for ever'
    prefetcher.reset()
    batch = prefetcher.next()
    while batch is not None:
        current_iter += 1
        if current_iter > last:
            break
        model.update_learning_rate(current_iter, warmup_iter=opt['train'].get('warmup_iter', -1))
        model.feed_data(batch)
        model.optimize_parameters(scaler, current_iter)
        batch = prefetcher.next()
assert passes == 1
assert scaler == list(range(1, last + 1)), scaler
model.save(-1, -1)
"""

# stands in for TensorBoard, which need not be installed
TENSORBOARD = """
import json, sys, types
class SummaryWriter:
    def __init__(self, log_dir):
        pass
    def add_scalar(self, name, value, iteration):
        with open('scalars.txt', 'a') as file:
            file.write(json.dumps([name, float(value), iteration]) + '\\n')
    def close(self):
        pass
sys.modules['torch.utils.tensorboard'] = types.ModuleType('tensorboard')
sys.modules['torch.utils.tensorboard'].SummaryWriter = SummaryWriter
"""


@pytest.fixture(scope='module')
def make(new_project: NewProject) -> Make:
    """Makes a small project, with a checkpoint in the middle of a stage."""

    def make(**train_set: Any) -> Project:
        project = new_project()
        project.shrink(**train_set)
        project.options['logger']['save_checkpoint_freq'] = 5
        return project

    return make


@pytest.fixture(scope='module')
def undisturbed(trainer: Trainer, make: Make) -> Project:
    project = make()
    project.options['logger']['use_tb_logger'] = True
    project.write()
    trainer(project, before=TENSORBOARD)
    return project


def state(project: Project, iteration: int) -> dict[str, Any]:
    return dict(torch.load(project.experiment / f'training_states/{iteration}.state', weights_only=True))


def test_tensorboard_gets_the_shape_as_numbers(undisturbed: Project) -> None:
    scalars = [json.loads(line) for line in (undisturbed.root / 'scalars.txt').read_text().splitlines()]
    names = ('stage', 'clips', 'frames', 'gt_size')
    series = {name: [value for other, value, _ in scalars if other == name] for name in names}
    assert series['stage'] == [stage for stage in range(1, 7) for _ in range(2)]
    assert series['clips'] == [2] * 12
    assert series['frames'] == [3, 3, 4, 4, 6, 6] * 2
    assert series['gt_size'] == [32] * 6 + [64] * 6
    assert [n for name, _, n in scalars if name == 'losses/l_pix'] == list(range(1, 13))


@pytest.mark.parametrize(
    ('iteration', 'train_set'),
    [(5, {'num_worker_per_gpu': 1}), (10, {'prefetch_mode': 'cpu', 'num_prefetch_queue': 2, 'num_worker_per_gpu': 1})],
    ids=str,
)
def test_resumed_run_equals_the_undisturbed(
    trainer: Trainer, make: Make, undisturbed: Project, iteration: int, train_set: dict[str, Any]
) -> None:
    """As after a kill: what the disturbed run has left is its checkpoint."""
    project = make(**train_set)
    for folder, name in (('models', f'net_g_{iteration}.pth'), ('training_states', f'{iteration}.state')):
        (project.experiment / folder).mkdir(parents=True)
        shutil.copy(undisturbed.experiment / folder / name, project.experiment / folder)
    project.write()
    trainer(project, '--auto_resume')
    assert f'iter: {iteration}.' in project.log() and project.log().count('multigrid: preset lin2022') == 1
    assert ('multigrid: continuing in stage 3/6' in project.log()) == (iteration == 5)  # 10: the next begins a stage
    assert project.losses() == undisturbed.losses()[iteration:]
    assert same_weights(project.weights(), undisturbed.weights())
    if iteration == 5:
        resumed, other = state(project, 10), state(undisturbed, 10)
        assert resumed['schedulers'] == other['schedulers']
        assert resumed['optimizers'][0]['param_groups'] == other['optimizers'][0]['param_groups']


def test_state_has_the_schedulers_where_basicsr_would(undisturbed: Project) -> None:
    """BasicSR steps them before each iteration but the first."""
    assert state(undisturbed, 5)['schedulers'][0]['last_epoch'] == 4


@pytest.mark.parametrize('form', ['separate', 'joined'])
def test_force_yml_reaches_plan_and_host(trainer: Trainer, make: Make, form: str) -> None:
    project = make()
    project.write()
    changes = ['multigrid:spatial=[1.0]', 'network_g:num_feat=5', 'name=forced', 'train:total_iter=6']
    arguments = ['--force_yml', *changes] if form == 'separate' else ['--force_yml=train:total_iter=6']
    trainer(project, *arguments)
    if form == 'joined':
        assert 'multigrid: preset lin2022, 6 stages, 6 iterations' in project.log()
        assert len(project.losses()) == 6
        return
    project.options['name'] = 'forced'
    assert 'multigrid: preset lin2022, 3 stages, 6 iterations' in project.log()
    assert project.log().count('gt_size: 64') >= 6 and len(project.losses()) == 6
    assert project.weights()['params']['upsample.0.weight'].shape[1] == 5
    copied = (project.experiment / 'train.yml').read_text()
    assert 'total_iter: 12' in copied  # the user's own file


@pytest.mark.parametrize('batch_size', [1, 7])
def test_a_loop_without_epochs_ends_exactly(
    trainer: Trainer, make: Make, undisturbed: Project, batch_size: int
) -> None:
    """And a model that wants more arguments gets them."""
    project = make(batch_size_per_gpu=batch_size)
    project.options['model_type'] = 'ScaledModel'
    project.options['train']['total_iter'] = project.options['train']['scheduler']['periods'][0] = 7
    project.write({**BLOCK, 'temporal': [1.0], 'base_batch_size': batch_size})
    trainer(project, script=OWN_LOOP)
    assert (project.experiment / 'models/net_g_latest.pth').exists()


@pytest.mark.slow
def test_an_old_basicsr_beside_the_script(make: Make, undisturbed: Project) -> None:
    """As repositories carry it: in the script's folder, with older names, without the module of registries."""
    project = make()
    found = importlib.util.find_spec('basicsr')
    assert found is not None and found.submodule_search_locations
    copy = project.root / 'code/basicsr'
    shutil.copytree(found.submodule_search_locations[0], copy, ignore=shutil.ignore_patterns('__pycache__'))
    (copy / 'utils/registry.py').rename(copy / 'utils/names.py')
    for path in copy.rglob('*.py'):
        text = path.read_text()
        text = text.replace('utils.registry', 'utils.names').replace('build_model', 'create_model')
        path.write_text(text.replace('build_dataloader', 'create_dataloader'))
    project.options['network_g'] = {'type': 'BasicVSR', 'num_feat': 4, 'num_block': 1, 'spynet_path': None}
    project.options['train']['fix_flow'] = 2
    project.write()
    (project.root / 'code/train.py').write_text('import basicsr\nprint(basicsr.__file__)\n' + TRAIN)
    done = project.launch('-m', 'mg_basicsr', 'run', 'code/train.py', '-opt', 'train.yml')
    assert str(copy) in done.stdout
    assert len(project.losses()) == 12 and project.log().count('multigrid stage') == 6


# Prefetchers and loops in this process, with batches and nothing else


class Eager:
    """Fetches one batch ahead, in its constructor too, as BasicSR's CUDAPrefetcher does on a GPU."""

    def __init__(self, loader: Any, opt: Any) -> None:
        self.ori_loader = loader
        self.reset()

    def _fetch(self) -> None:
        self.batch = next(self.loader, None)
        if self.batch is not None:
            assert isinstance(self.batch, dict)
            for key, value in self.batch.items():
                self.batch[key] = value

    def next(self) -> Any:
        batch = self.batch
        self._fetch()
        return batch

    def reset(self) -> None:
        self.loader = iter(self.ori_loader)
        self._fetch()


class Lazy:
    """Fetches when asked, as CPUPrefetcher does."""

    def __init__(self, loader: Any, opt: Any) -> None:
        self.ori_loader = loader
        self.reset()

    def next(self) -> Any:
        return next(self.loader, None)

    def reset(self) -> None:
        self.loader = iter(self.ori_loader)


@pytest.mark.parametrize('endless', [True, False], ids=['while', 'epochs'])
@pytest.mark.parametrize('start', [0, 5, 12])
@pytest.mark.parametrize('kind', [Eager, Lazy])
def test_prefetchers_deliver_each_iteration_once(
    project: Project, kind: type, start: int, endless: bool, request: pytest.FixtureRequest
) -> None:
    request.addfinalizer(lambda: activate(None))
    run = start_run(parse_command_line(['-opt', str(project.write())]))
    assert run is not None
    owner = type('Prefetcher', (kind,), dict(vars(kind)))
    patch_prefetchers(SimpleNamespace(CUDAPrefetcher=owner))  # type: ignore[arg-type]
    run.clock.iteration = start  # as a resumed model says
    host_loader = SimpleNamespace(dataset=run.specification.dataset, num_workers=0)
    prefetcher = owner(host_loader, {})
    current, shapes, passes = start, [], 0
    while current <= 12 if endless else passes < 4:
        passes += 1
        assert passes < 10, 'spins for ever'
        prefetcher.reset()
        batch = prefetcher.next()
        while batch is not None:
            current += 1
            if current > 12:
                break
            run.clock.iteration = current
            shapes.append((batch['lq'].shape[1], batch['gt'].shape[-1]))
            batch = prefetcher.next()
    assert current == 13
    stages = [(frames, size) for size in (32, 64) for frames in (3, 4, 6) for _ in range(2)]
    assert shapes == stages[start:]

"""Models and training sets of every kind under a plan, through the real BasicSR: few iterations of tiny networks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mg_basicsr
from tests.helpers.frame_sets import picture, to_lmdb, write_pair, write_vimeo
from tests.helpers.networks import NARROW_FLOW
from tests.helpers.project import BLOCK, NewProject, Project, same_weights
from tests.helpers.trainer import TRAIN, Trainer

Make = Callable[..., Project]
EDVR = {
    'type': 'EDVR', 'num_feat': 4, 'deformable_groups': 2, 'num_extract_block': 1, 'num_reconstruct_block': 1,
    'with_tsa': True,
}  # fmt: skip
STAGES = [(3, 32), (4, 32), (6, 32), (3, 64), (4, 64), (6, 64)]

UNCHECKED = {**BLOCK, 'check': False}  # the spy below would see the steps on trial too

# notes the shape of each batch that a model is fed, and whether LQ and GT show the same place
SPY = """
import json
import mg_basicsr
from basicsr.models.video_base_model import VideoBaseModel
feed = VideoBaseModel.feed_data
def spy(self, data):
    same = bool((data['lq'] == data['gt'][..., ::4, ::4]).all()) if data['gt'].ndim == 5 else None
    with open('fed.txt', 'a') as file:
        file.write(json.dumps([list(data['lq'].shape), list(data['gt'].shape), str(data['gt'].dtype), same]) + '\\n')
    return feed(self, data)
VideoBaseModel.feed_data = spy
"""

# two training sets of a repository's own: one reads gt_size for each item, one knows a single shape
OWN_SETS = """
import random, torch
from basicsr.utils.registry import DATASET_REGISTRY

@DATASET_REGISTRY.register()
class ObedientDataset(torch.utils.data.Dataset):
    def __init__(self, opt):
        self.opt = opt
    def __len__(self):
        return 5
    def size(self):
        return self.opt['gt_size']
    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(index)
        gt = torch.rand(6, 3, 96, 96, generator=generator)
        top, left = random.randrange(0, 96 - self.size() + 1, 4), random.randrange(0, 96 - self.size() + 1, 4)
        gt = gt[..., top : top + self.size(), left : left + self.size()]
        return {'lq': gt[..., ::4, ::4], 'gt': gt, 'key': str(index)}

@DATASET_REGISTRY.register()
class StubbornDataset(ObedientDataset):
    def size(self):
        return 64
"""


@pytest.fixture(scope='module')
def vimeo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_vimeo(tmp_path_factory.mktemp('vimeo'), ['00001/0001', '00001/0002', '00002/0001'])
    to_lmdb(root, root)
    return root


@pytest.fixture(scope='module')
def make(new_project: NewProject) -> Make:
    """Makes a small project; keyword arguments change its training set."""

    def make(iterations: int = 12, **train_set: Any) -> Project:
        project = new_project()
        project.shrink(**train_set)
        train = project.options['train']
        train['total_iter'] = train['scheduler']['periods'][0] = iterations
        return project

    return make


def vimeo_project(make: Make, root: Path, iterations: int, **train_set: Any) -> Project:
    roots = {f'dataroot_{side.lower()}': str(root / side) for side in ('GT', 'LQ')}
    changes = {'gt_size': 32, 'meta_info_file': str(root / 'meta.txt'), **roots, **train_set}
    return make(iterations, val_partition=None, **changes)


def as_edvr(project: Project, frames: int) -> Project:
    project.options |= {'model_type': 'EDVRModel', 'network_g': {**EDVR, 'num_frame': frames}}
    project.options['train'] |= {'tsa_iter': 2, 'dcn_lr_mul': 0.5}
    return project


def shapes(project: Project) -> list[tuple[int, int]]:
    """(frames, gt_size) of each iteration, as logged."""
    return [(int(t), int(size)) for t, size in re.findall(r'frames: (\d+) gt_size: (\d+)', project.log())]


def fed(project: Project) -> list[Any]:
    return [json.loads(line) for line in (project.root / 'fed.txt').read_text().splitlines()]


@pytest.fixture(scope='module')
def reference(trainer: Trainer, make: Make) -> Project:
    """Unedited types, from folders."""
    project = make()
    project.write(UNCHECKED)
    trainer(project, before=SPY)
    return project


def test_recurrent_model_sees_every_shape(reference: Project) -> None:
    assert shapes(reference) == [shape for shape in STAGES for _ in range(2)]
    for (lq, gt, dtype, _), (frames, size) in zip(fed(reference), shapes(reference), strict=True):
        assert lq == [2, frames, 3, size // 4, size // 4] and gt == [2, frames, 3, size, size]
        assert dtype == 'torch.float32'


# Models


def test_edvr_follows_the_spatial_cycle_alone(trainer: Trainer, make: Make) -> None:
    project = as_edvr(make(4, type='REDSDataset', num_frame=5, dataroot_flow=None), frames=5)
    project.write(UNCHECKED)
    trainer(project, before=SPY)
    assert shapes(project) == [(5, 32), (5, 32), (5, 64), (5, 64)]
    assert [lq for lq, *_ in fed(project)] == [[2, 5, 3, 8, 8]] * 2 + [[2, 5, 3, 16, 16]] * 2
    assert [gt for _, gt, *_ in fed(project)] == [[2, 3, 32, 32]] * 2 + [[2, 3, 64, 64]] * 2
    rates = re.findall(r'lr:\(([^)]*),\)', project.log())
    assert all(float(dcn) == pytest.approx(float(main) / 2, rel=2e-3) for main, dcn in (r.split(',') for r in rates))


def test_image_model(trainer: Trainer, make: Make, tmp_path: Path) -> None:
    for number in range(3):
        write_pair(tmp_path, f'{number}.png', picture(0, number))
    project = make(
        4, type='PairedImageDataset', dataroot_gt=str(tmp_path / 'GT'), dataroot_lq=str(tmp_path / 'LQ'),
        meta_info_file=None, num_frame=None, gt_size=32,
    )  # fmt: skip
    project.options |= {'model_type': 'SRModel', 'network_g': {'type': 'MSRResNet', 'num_feat': 4, 'num_block': 1}}
    project.write({**BLOCK, 'min_lq_size': 4})
    trainer(project)
    assert shapes(project) == [(1, 16), (1, 16), (1, 32), (1, 32)]
    assert len(project.losses()) == 4


def test_two_optimisers(trainer: Trainer, make: Make) -> None:
    """The discriminator's rate follows the plan too, at its own height."""
    project = make(6, num_frame=3)  # a flow network costs more than all else here
    project.options['model_type'] = 'VideoRecurrentGANModel'
    project.options['network_d'] = {'type': 'UNetDiscriminatorSN', 'num_in_ch': 3, 'num_feat': 4}
    train = project.options['train']
    project.options['network_g'] = {'type': 'BasicVSR', 'num_feat': 4, 'num_block': 1, 'spynet_path': None}
    train |= {
        'fix_flow': 2,
        'lr_flow': 1e-4,
        'optim_d': {**train['optim_g'], 'lr': 2.5e-4},
        'gan_opt': {'type': 'GANLoss', 'gan_type': 'vanilla', 'loss_weight': 0.1},
    }
    train['scheduler']['eta_min'] = 0
    project.write({**BLOCK, 'temporal': [1.0], 'warmup_iter': 2})
    spy = (
        NARROW_FLOW
        + """
import json
import mg_basicsr
from basicsr.models.video_recurrent_gan_model import VideoRecurrentGANModel as Model
optimize = Model.optimize_parameters
def spy(self, current_iter):
    optimize(self, current_iter)
    with open('rates.txt', 'a') as file:
        file.write(json.dumps([[group['lr'] for group in o.param_groups] for o in self.optimizers]) + '\\n')
Model.optimize_parameters = spy
"""
    )
    trainer(project, before=spy)
    rates = [json.loads(line) for line in (project.root / 'rates.txt').read_text().splitlines()]
    rates = [rate for rate in rates if rate[0][1]]  # steps on trial have none
    main = [generator[1] for generator, _ in rates]
    assert main[:2] == pytest.approx([5e-4, 1e-3 * (1 + 3**0.5 / 2) / 2], rel=0.1)  # warm-up over 2 iterations
    assert main[3] == pytest.approx(1e-3) and main[-1] < main[3]
    for (flow, normal), (discriminator,) in rates:
        assert flow == pytest.approx(normal / 10) and discriminator == pytest.approx(normal / 4)
    assert shapes(project) == [(3, 32)] * 3 + [(3, 64)] * 3


# Training sets


def test_vimeo_recurrent_with_mirrored_clips(trainer: Trainer, make: Make, vimeo: Path) -> None:
    """From folders and from LMDBs, with a worker: the same run."""
    runs = {}
    for suffix in ('', '.lmdb'):
        project = vimeo_project(
            make, vimeo, 6, type='Vimeo90KRecurrentDataset', num_frame=-1, flip_sequence=True,
            num_worker_per_gpu=1, io_backend={'type': 'lmdb' if suffix else 'disk'},
            dataroot_gt=str(vimeo / f'GT{suffix}'), dataroot_lq=str(vimeo / f'LQ{suffix}'),
        )  # fmt: skip
        project.write({**UNCHECKED, 'spatial': [1.0]})
        trainer(project, before=SPY)
        runs[suffix] = project
    assert shapes(runs['']) == [(frames, 32) for frames in (6, 10, 14) for _ in range(2)]
    assert [lq for lq, *_ in fed(runs[''])] == [[2, frames, 3, 8, 8] for frames in (6, 10, 14) for _ in range(2)]
    assert len(runs[''].losses()) == 6
    assert runs[''].losses() == runs['.lmdb'].losses()
    assert same_weights(runs[''].weights(), runs['.lmdb'].weights())


def test_vimeo_windows(trainer: Trainer, make: Make, vimeo: Path) -> None:
    project = as_edvr(vimeo_project(make, vimeo, 4, type='Vimeo90KDataset', num_frame=7), frames=7)
    project.write({**BLOCK, 'min_lq_size': 4})
    trainer(project)
    assert shapes(project) == [(7, 16), (7, 16), (7, 32), (7, 32)]


@pytest.fixture(scope='module')
def reds_lmdb(tmp_path_factory: pytest.TempPathFactory, clips: Path) -> Path:
    return to_lmdb(clips, tmp_path_factory.mktemp('lmdb'))


@pytest.mark.parametrize('case', ['lmdb', 'MultigridModel', 'MultigridREDSDataset'])
def test_same_run_by_another_route(
    trainer: Trainer, make: Make, reference: Project, reds_lmdb: Path, case: str
) -> None:
    """LMDBs instead of folders; our registered types instead of BasicSR's."""
    project = make()
    train_set = project.options['datasets']['train']
    if case == 'lmdb':
        roots = {f'dataroot_{side.lower()}': str(reds_lmdb / f'{side}.lmdb') for side in ('GT', 'LQ')}
        train_set |= {**roots, 'io_backend': {'type': 'lmdb'}}
    elif case == 'MultigridModel':
        project.options |= {'model_type': 'MultigridModel', 'base_model': 'VideoRecurrentModel'}
    else:
        train_set['type'] = 'MultigridREDSDataset'
    project.write()
    trainer(project)
    assert project.losses() == reference.losses()
    assert same_weights(project.weights(), reference.weights())


@pytest.mark.parametrize('name', ['ObedientDataset', 'StubbornDataset'])
def test_a_training_set_of_the_scripts_own(trainer: Trainer, make: Make, name: str) -> None:
    """Through the adapter, by its own type and as a base_type, in this process and in a worker: the same run."""
    runs = []
    for changes in ({'type': name}, {'type': 'MultigridDataset', 'base_type': name, 'num_worker_per_gpu': 1}):
        runs.append(make(**changes))
        runs[-1].write(UNCHECKED)
        trainer(runs[-1], before=SPY + OWN_SETS)
    plain, adapted = runs
    assert [(lq, gt) for lq, gt, *_ in fed(plain)] == [
        ([2, frames, 3, size // 4, size // 4], [2, frames, 3, size, size]) for frames, size in STAGES for _ in range(2)
    ]
    assert all(same_place for *_, same_place in fed(plain))
    assert len(plain.losses()) == 12
    assert plain.losses() == adapted.losses()
    assert same_weights(plain.weights(), adapted.weights())


@pytest.mark.slow
def test_a_training_set_of_the_scripts_own_in_spawned_workers(make: Make) -> None:
    """The worker imports the script again, behind the package, and finds the class there."""
    project = make(6, type='ObedientDataset', num_worker_per_gpu=1)
    project.write({**BLOCK, 'spatial': [1.0], 'temporal': [0.5, 1.0]})
    guarded = ''.join(f'    {line}\n' for line in TRAIN.splitlines())
    script = f"{OWN_SETS}if __name__ == '__main__':\n    torch.multiprocessing.set_start_method('spawn')\n{guarded}"
    (project.root / 'plain.py').write_text(script)
    project.launch('-m', 'mg_basicsr', 'run', 'plain.py', '-opt', 'train.yml')
    assert shapes(project) == [(3, 64)] * 3 + [(6, 64)] * 3


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'datasets': {'type': 'MultigridDataset', 'base_type': 'NoSuchDataset'}}, 'base_type: NoSuchDataset'),
        ({'datasets': {'type': 'MultigridDataset'}}, 'base_type'),
        ({'model_type': 'MultigridModel', 'base_model': 'NoSuchModel'}, 'base_model: NoSuchModel'),
        ({'model_type': 'MultigridModel'}, 'base_model'),
    ],
    ids=str,
)
def test_a_name_that_is_not_registered(trainer: Trainer, make: Make, changes: dict[str, Any], message: str) -> None:
    project = make()
    project.options['datasets']['train'] |= changes.get('datasets', {})
    project.options |= {key: value for key, value in changes.items() if key != 'datasets'}
    project.write()
    output = trainer(project, code=2)
    assert message in output and 'Traceback' not in output


def test_sampler_registry() -> None:
    sampler = mg_basicsr.SAMPLER_REGISTRY.get('MultigridSampler')
    assert sampler is mg_basicsr.MultigridSampler


# a repository's own class under a name of BasicSR's: its samples have one more key
SAME_NAME = """
from basicsr.data import reds_dataset
from basicsr.utils.registry import DATASET_REGISTRY

class REDSRecurrentDataset(reds_dataset.REDSRecurrentDataset):
    def __getitem__(self, index):
        return {**super().__getitem__(0), 'names': [str(n) for n in range(self.num_frame)]}

DATASET_REGISTRY._obj_map['REDSRecurrentDataset'] = REDSRecurrentDataset
"""


def test_a_class_is_not_taken_for_what_its_name_says(trainer: Trainer, make: Make) -> None:
    project = make(6)
    project.write(UNCHECKED)
    trainer(project, before=SPY + SAME_NAME)
    assert shapes(project) == STAGES
    assert [lq for lq, *_ in fed(project)] == [[2, frames, 3, size // 4, size // 4] for frames, size in STAGES]
    assert "is not BasicSR's, and goes through the adapter" in project.log()
    project.write({**UNCHECKED, 'temporal_stride': True})
    output = trainer(project, before=SPY + SAME_NAME, code=2)
    assert 'multigrid.temporal_stride: true, but REDSRecurrentDataset is another class here' in output

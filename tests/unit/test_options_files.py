"""The files in options/: complete BasicSR options, with the published values, plus the block."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from mg_basicsr.config.resolve import resolve
from mg_basicsr.parsing.options_file import load_options

OPTIONS = Path(__file__).parents[2] / 'options'


class Recipe(NamedTuple):
    """What was published, and what the block says about it."""

    network: str
    model: str
    dataset: str
    lr: float
    total_iter: int
    gt_size: int
    num_frame: int | None  # -1: all seven of Vimeo-90K, mirrored; None: images
    batch_size_per_gpu: int
    base_batch_size: int
    block: dict[str, Any]  # besides preset and base_batch_size


SPATIAL_ONLY = {'temporal': [1.0], 'small_lr_max': 2e-4}  # EDVR: a fixed number of frames
TEMPORAL_ONLY = {'spatial': [1.0]}  # BasicVSR++: LQ of at least 64

# wu2020's steps at 94, 154 and 196 of 239 parts of the run, in round numbers
BASICVSR_STEPS = {'lr_steps': [118_000, 193_000, 246_000]}
EDVR_STEPS = {'lr_steps': [236_000, 387_000, 492_000], 'small_lr_max': 2e-4}
PROGRESSIVE = {
    'gt_sizes': [64, 96, 128],
    'mini_batch_sizes': [16, 16, 16],
    'iters': [400_000, 300_000, 300_000],
}

# BasicVSR, IconVSR (Chan et al., CVPR 2021), BasicVSR++ (CVPR 2022) and EDVR (CVPRW 2019) as trained by BasicSR.
RECIPES = {
    'BasicVSR_REDS_lin2022': Recipe(
        'BasicVSR', 'VideoRecurrentModel', 'REDSRecurrentDataset', 2e-4, 300_000, 256, 15, 4, 32, {}
    ),
    'IconVSR_REDS_lin2022': Recipe(
        'IconVSR', 'VideoRecurrentModel', 'REDSRecurrentDataset', 2e-4, 300_000, 256, 15, 4, 8, {}
    ),
    'BasicVSRPP_REDS_lin2022': Recipe(
        'BasicVSRPlusPlus', 'VideoRecurrentModel', 'REDSRecurrentDataset', 1e-4, 600_000, 256, 30, 1, 8, TEMPORAL_ONLY
    ),
    'EDVR_M_REDS_lin2022': Recipe('EDVR', 'EDVRModel', 'REDSDataset', 4e-4, 600_000, 256, 5, 4, 32, SPATIAL_ONLY),
    'BasicVSR_Vimeo90K_BI_lin2022': Recipe(
        'BasicVSR', 'VideoRecurrentModel', 'Vimeo90KRecurrentDataset', 2e-4, 300_000, 256, -1, 4, 8, {}
    ),
    'BasicVSR_Vimeo90K_BD_lin2022': Recipe(
        'BasicVSR', 'VideoRecurrentModel', 'Vimeo90KRecurrentDataset', 2e-4, 300_000, 256, -1, 4, 8, {}
    ),
    'EDVR_M_Vimeo90K_BI_lin2022': Recipe(
        'EDVR', 'EDVRModel', 'Vimeo90KDataset', 4e-4, 600_000, 256, 7, 4, 32, SPATIAL_ONLY
    ),
    'EDVR_M_Vimeo90K_BD_lin2022': Recipe(
        'EDVR', 'EDVRModel', 'Vimeo90KDataset', 4e-4, 600_000, 256, 7, 4, 32, SPATIAL_ONLY
    ),
    'BasicVSR_REDS_wu2020': Recipe(
        'BasicVSR', 'VideoRecurrentModel', 'REDSRecurrentDataset', 2e-4, 300_000, 256, 15, 4, 32, BASICVSR_STEPS
    ),
    'EDVR_M_REDS_wu2020': Recipe('EDVR', 'EDVRModel', 'REDSDataset', 4e-4, 600_000, 256, 5, 4, 32, EDVR_STEPS),
    'MSRResNet_x4_DIV2K_progressive': Recipe(
        'MSRResNet', 'SRModel', 'PairedImageDataset', 2e-4, 1_000_000, 128, None, 16, 16, PROGRESSIVE
    ),
}

# Read by BasicSR without a default, so that a file without them fails once training has begun.
NEEDED = [
    'name', 'model_type', 'scale', 'num_gpu', 'manual_seed', 'network_g.type', 'path.pretrain_network_g',
    'path.strict_load_g', 'path.resume_state', 'train.total_iter', 'train.warmup_iter', 'train.optim_g.type',
    'train.optim_g.lr', 'train.scheduler.type', 'train.scheduler.periods', 'train.scheduler.eta_min',
    'train.pixel_opt.type', 'val.val_freq', 'val.save_img', 'val.metrics', 'logger.print_freq',
    'logger.save_checkpoint_freq', 'logger.use_tb_logger', 'dist_params.backend', 'dist_params.port',
]  # fmt: skip
NEEDED_OF_TRAIN_SET = [
    'name', 'type', 'dataroot_gt', 'dataroot_lq', 'meta_info_file', 'io_backend', 'gt_size', 'use_hflip',
    'use_rot', 'num_worker_per_gpu', 'batch_size_per_gpu', 'dataset_enlarge_ratio', 'prefetch_mode',
]  # fmt: skip
NEEDED_OF_DATASET_TYPE = {
    'PairedImageDataset': {'filename_tmpl'},
    'REDSDataset': {'num_frame', 'random_reverse', 'val_partition', 'interval_list', 'dataroot_flow'},
    'REDSRecurrentDataset': {'num_frame', 'random_reverse', 'val_partition', 'interval_list', 'test_mode'},
    'Vimeo90KDataset': {'num_frame', 'random_reverse'},
    'Vimeo90KRecurrentDataset': {'num_frame', 'random_reverse', 'flip_sequence'},
}
NEEDED_OF_TEST_SET = {
    'PairedImageDataset': {'name', 'dataroot_gt', 'dataroot_lq', 'io_backend'},
    'VideoRecurrentTestDataset': {'name', 'dataroot_gt', 'dataroot_lq', 'io_backend', 'cache_data', 'num_frame'},
    'VideoTestDataset': {'name', 'dataroot_gt', 'dataroot_lq', 'io_backend', 'cache_data', 'num_frame', 'padding'},
}


def load(recipe: str) -> dict[str, Any]:
    options = yaml.safe_load((OPTIONS / f'train_{recipe}.yml').read_text())
    assert isinstance(options, dict)
    return options


def has(options: dict[str, Any], dotted: str) -> bool:
    node: Any = options
    for part in dotted.split('.'):
        if not isinstance(node, dict) or part not in node:
            return False
        node = node[part]
    return True


def test_every_file_is_in_the_table() -> None:
    assert {path.name for path in OPTIONS.glob('*.yml')} == {f'train_{recipe}.yml' for recipe in RECIPES}


def test_every_file_is_in_the_readme() -> None:
    readme = (OPTIONS / 'README.md').read_text()
    assert [path.name for path in OPTIONS.glob('*.yml') if f'| `{path.name}` |' not in readme] == []


@pytest.mark.parametrize('recipe', RECIPES)
def test_basicsr_finds_all_it_reads(recipe: str) -> None:
    options = load(recipe)
    train_set, test_set = options['datasets']['train'], options['datasets']['val']
    assert [key for key in NEEDED if not has(options, key)] == []
    assert set(NEEDED_OF_TRAIN_SET) - set(train_set) == set()
    assert NEEDED_OF_DATASET_TYPE[train_set['type']] - set(train_set) == set()
    assert NEEDED_OF_TEST_SET[test_set['type']] - set(test_set) == set()


@pytest.mark.parametrize('recipe', RECIPES)
def test_values_are_the_published_ones(recipe: str) -> None:
    options = load(recipe)
    train_set, train = options['datasets']['train'], options['train']
    assert (
        Recipe(
            network=options['network_g']['type'],
            model=options['model_type'],
            dataset=train_set['type'],
            lr=train['optim_g']['lr'],
            total_iter=train['total_iter'],
            gt_size=train_set['gt_size'],
            num_frame=train_set.get('num_frame'),
            batch_size_per_gpu=train_set['batch_size_per_gpu'],
            base_batch_size=options['multigrid']['base_batch_size'],
            block={
                key: options['multigrid'][key] for key in options['multigrid'].keys() - {'preset', 'base_batch_size'}
            },
        )
        == RECIPES[recipe]
    )
    assert options['multigrid']['preset'] == recipe.rpartition('_')[2]
    assert options['scale'] == 4
    assert options['name'] == recipe


@pytest.mark.parametrize('recipe', RECIPES)
@pytest.mark.parametrize('world_size', [1, 8])
def test_every_file_can_be_planned(recipe: str, world_size: int) -> None:
    settings = resolve(load_options(OPTIONS / f'train_{recipe}.yml'), world_size)
    full = settings.plan.stages[-1].shape
    assert (full.clips, full.size) == (RECIPES[recipe].base_batch_size, RECIPES[recipe].gt_size)


@pytest.mark.parametrize('recipe', RECIPES)
def test_parts_of_a_file_agree(recipe: str) -> None:
    options = load(recipe)
    train_set, train = options['datasets']['train'], options['train']
    assert sum(train['scheduler']['periods']) == train['total_iter']
    assert train['scheduler']['eta_min'] == 1e-7  # a float: PyYAML reads 1e-7 without the dot as a string
    assert options['val']['metrics']['psnr']['test_y_channel'] is ('Vimeo90K' in recipe)
    if 'Vimeo90K' in recipe:
        roots = (Path(options['datasets'][phase]['dataroot_lq']) for phase in ('train', 'val'))
        assert {root.name for root in roots} == {recipe.split('_')[-2] + 'x4'}
    if options['model_type'] == 'EDVRModel':
        assert options['network_g']['num_frame'] == options['datasets']['val']['num_frame'] == train_set['num_frame']
    elif options['model_type'] == 'VideoRecurrentModel':
        # DistributedDataParallel stops at parameters without a gradient, such as those of a frozen flow network.
        assert train['fix_flow'] < train['total_iter'] and options['find_unused_parameters'] is True

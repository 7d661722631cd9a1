"""All train files of BasicSR's options: converted, planned, and one of each family of networks checked.

    MG_BASICSR_CLONE=path/to/BasicSR python -m pytest tests/integration/test_convert_tree.py -m slow

For the checks networks, batches and some of the largest shapes are cut down, and the data is generated; the block is
the one that was written.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import pytest
import yaml

from scripts.convert_tree import Outcome, convert_tree
from tests.helpers.clips import meta_info, write_clips
from tests.helpers.trainer import Trainer

CLONE = os.environ.get('MG_BASICSR_CLONE', '')
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CLONE, reason='set MG_BASICSR_CLONE to a clone of BasicSR')]
TRAIN = Path(CLONE, 'options/train')
SHAPE = (264, 264)  # of a GT frame
PROGRESSIVE = ('--preset', 'progressive')

# file: (changes of its network, further arguments of convert, changes of its training set)
FAMILIES: dict[str, tuple[dict[str, Any], Sequence[str], dict[str, Any]]] = {
    'BasicVSR/train_BasicVSR_REDS': (
        {'num_feat': 4, 'num_block': 1, 'spynet_path': None},
        (),
        {'num_frame': 8, 'gt_size': 144},
    ),
    'BasicVSRPP/train_BasicVSRPP_REDS': (
        {'mid_channels': 16, 'num_blocks': 1, 'spynet_path': None},
        (),
        {'num_frame': 8},
    ),
    'EDVR/train_EDVR_M_x4_SR_REDS_woTSA': (
        {'num_feat': 8, 'deformable_groups': 1, 'num_extract_block': 1, 'num_reconstruct_block': 1},
        (),
        {'gt_size': 144},
    ),
    'EDSR/train_EDSR_Mx4': ({'num_feat': 8, 'num_block': 1}, (), {}),
    'RCAN/train_RCAN_x2': ({'num_feat': 16, 'num_group': 1, 'num_block': 1}, (), {}),
    'SwinIR/train_SwinIR_SRx4_scratch': ({'depths': [1], 'num_heads': [2], 'embed_dim': 8}, (), {}),
    'SRResNet_SRGAN/train_MSRResNet_x4': ({'num_feat': 8, 'num_block': 1}, PROGRESSIVE, {}),
    'ESRGAN/train_RRDBNet_PSNR_x4': ({'num_feat': 8, 'num_block': 1, 'num_grow_ch': 4}, PROGRESSIVE, {}),
}


@pytest.fixture(scope='module')
def converted(tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    return list(convert_tree(TRAIN, tmp_path_factory.mktemp('converted')))


def test_every_file_is_converted_or_refused_with_a_reason(converted: list[Outcome]) -> None:
    assert len([outcome for outcome in converted if outcome.code == 0]) >= 23
    for outcome in converted:
        if outcome.code == 0:
            assert (outcome.plan_code, outcome.warnings, outcome.unexplained) == (0, '', ()), outcome
        else:
            lines = outcome.said.strip().splitlines()
            assert outcome.code == 2 and len(lines) >= 2 and 'Traceback' not in outcome.said
            assert not outcome.target.exists()


@pytest.fixture(scope='module')
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips of frames, and the first frames as images, with LQ at a quarter and at half of the size."""
    root = tmp_path_factory.mktemp('data')
    clips = {'001': 31, '002': 31}
    write_clips(root, clips, SHAPE)
    write_clips(root / 'val', {'000': 5}, SHAPE)
    (root / 'meta.txt').write_text(meta_info({**clips, '000': 5}, SHAPE))
    for side, size in (('GT', SHAPE[0]), ('X4', SHAPE[0] // 4), ('X2', SHAPE[0] // 2)):
        (root / 'images' / side).mkdir(parents=True)
        for clip in clips:
            image = cv2.imread(str(root / 'GT' / clip / '00000000.png'))
            small = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
            cv2.imwrite(str(root / 'images' / side / f'{clip}.png'), small)
    return root


@pytest.mark.parametrize('name', FAMILIES)
def test_a_converted_file_passes_the_check(trainer: Trainer, tmp_path: Path, data: Path, name: str) -> None:
    network, arguments, train_set = FAMILIES[name]
    target = tmp_path / 'converted'
    [outcome] = [o for o in convert_tree((TRAIN / name).parent, target, arguments) if o.source.stem == Path(name).name]
    assert outcome.code == 0, outcome.said
    (tmp_path / 'train.yml').write_text(
        yaml.safe_dump(cut_down(outcome.target, network, train_set, data), sort_keys=False)
    )
    command = ['-m', 'mg_basicsr', 'check', '-opt', 'train.yml', '--json', '--no-stock', '--no-others']
    outputs = [tmp_path / 'out.json', tmp_path / 'err.txt']
    code = trainer.run(command, tmp_path, outputs)
    assert code == 0, outputs[1].read_text()
    stages = yaml.safe_load(outputs[0].read_text())['stages']
    assert len(stages) > 1 and all(stage['seconds_per_iter'] > 0 for stage in stages)


def cut_down(file: Path, network: dict[str, Any], train_set: dict[str, Any], data: Path) -> dict[str, Any]:
    """Return the options of a converted file with a small network, one clip per step, and generated data."""
    options: dict[str, Any] = yaml.safe_load(file.read_text())
    options['network_g'] |= network
    options |= {'num_gpu': 0, 'datasets': {'train': options['datasets']['train']}, 'val': None}
    options['logger'] |= {'use_tb_logger': False}
    options['path'] |= {'pretrain_network_g': None}  # EDSR x4 begins from the weights of x2
    train, block = options['datasets']['train'], options['multigrid']
    train |= train_set | {'batch_size_per_gpu': 1, 'num_worker_per_gpu': 0, 'dataset_enlarge_ratio': 1}
    if 'base_batch_size' in block:
        block['base_batch_size'] = 1
    if 'mini_batch_sizes' in block:
        block['mini_batch_sizes'] = [1 for _ in block['mini_batch_sizes']]
    if train['type'] == 'PairedImageDataset':
        train.pop('meta_info_file', None)
        train |= {'dataroot_gt': str(data / 'images/GT'), 'dataroot_lq': str(data / f'images/X{options["scale"]}')}
    else:
        train |= {'dataroot_gt': str(data / 'GT'), 'dataroot_lq': str(data / 'LQ')}
        train |= {'meta_info_file': str(data / 'meta.txt')}
    return options

"""The shims on BasicSR itself, and what happens without them.

`import mg_basicsr` applies them, as it does for a user; the host's own function is found behind each by `unwrap`.
"""

from __future__ import annotations

import copy
import math
import os
import subprocess
import sys
from inspect import unwrap
from pathlib import Path
from types import FunctionType
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import yaml
from torch.utils.flop_counter import FlopCounterMode

import mg_basicsr
from mg_basicsr.host.patches import spynet
from tests.helpers.ranks import reserved_port

basicsr = pytest.importorskip('basicsr')

from basicsr.archs import build_network  # noqa: E402
from basicsr.archs.arch_util import flow_warp  # noqa: E402
from basicsr.archs.basicvsrpp_arch import BasicVSRPlusPlus  # noqa: E402
from basicsr.archs.spynet_arch import SpyNet  # noqa: E402
from basicsr.data import build_dataset  # noqa: E402
from basicsr.models import build_model  # noqa: E402
from basicsr.models.base_model import BaseModel  # noqa: E402
from basicsr.models.video_recurrent_model import VideoRecurrentModel  # noqa: E402
from basicsr.train import train_pipeline  # noqa: E402
from basicsr.utils import dist_util  # noqa: E402
from basicsr.utils.registry import ARCH_REGISTRY  # noqa: E402

without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason='needs a machine without a GPU')
SCALE, FRAMES, LQ_SIZE = 4, 3, (12, 16)


@ARCH_REGISTRY.register()
class OneConvolution(torch.nn.Module):
    """The smallest network that any of BasicSR's SR models can train: frames (..., 3, h, w) to (..., 3, 4h, 4w)."""

    def __init__(self, center_only: bool = False) -> None:
        super().__init__()
        self.center_only = center_only
        self.convolution = torch.nn.Conv2d(3, 3 * SCALE**2, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.center_only:
            x = x[:, x.shape[1] // 2]
        y = torch.nn.functional.pixel_shuffle(self.convolution(x.flatten(0, -4)), SCALE)
        return y.unflatten(0, x.shape[:-3])


# Flow


def frames(height: int, width: int, clips: int = 2) -> torch.Tensor:
    return torch.rand(clips, 3, height, width, generator=torch.Generator().manual_seed(height * width))


@pytest.fixture(scope='module')
def flow_net() -> SpyNet:
    torch.manual_seed(0)
    return SpyNet()


def host_flow(net: SpyNet, ref: torch.Tensor, supp: torch.Tensor) -> torch.Tensor:
    """BasicSR's own flow, without the shim."""
    untouched = copy.copy(net)
    untouched.process = unwrap(SpyNet.process).__get__(untouched)
    return untouched(ref, supp)


@pytest.mark.parametrize(('height', 'width'), [(32, 32), (16, 48), (20, 31), (32, 96), (96, 32)])
def test_spynet_takes_small_frames(height: int, width: int, flow_net: SpyNet) -> None:
    ref, supp = frames(height, width), frames(height, width).flip(0)
    with pytest.raises(RuntimeError, match='Input and output sizes should be greater than 0'):
        host_flow(flow_net, ref, supp)
    flow = flow_net(ref, supp)
    assert flow.shape == (2, 2, height, width)
    assert flow.isfinite().all()


@pytest.mark.parametrize(('height', 'width'), [(64, 64), (33, 64), (70, 40)])
def test_spynet_is_unchanged_on_larger_frames(height: int, width: int, flow_net: SpyNet) -> None:
    ref, supp = frames(height, width), frames(height, width).flip(0)
    assert torch.equal(flow_net(ref, supp), host_flow(flow_net, ref, supp))


@pytest.mark.parametrize(('height', 'width'), [(64, 64), (64, 96), (128, 64)])
def test_small_frames_are_treated_as_large_ones_are(height: int, width: int, flow_net: SpyNet) -> None:
    """Where BasicSR's way can be taken too, both give the same bits."""
    ref, supp = frames(height, width), frames(height, width).flip(0)
    ours = spynet.coarse_to_fine(flow_net, ref, supp, flow_warp)
    assert torch.equal(ours, unwrap(SpyNet.process)(flow_net, ref, supp))


def test_gradients_reach_every_level_and_both_frames(flow_net: SpyNet) -> None:
    ref, supp = frames(32, 32).requires_grad_(), frames(32, 32).flip(0).requires_grad_()
    flow_net.zero_grad()
    flow_net(ref, supp).square().mean().backward()
    tensors = [ref, supp, *flow_net.parameters()]
    assert all(tensor.grad is not None and tensor.grad.abs().sum() > 0 for tensor in tensors)


def test_small_frames_cost_in_proportion_to_their_pixels(flow_net: SpyNet) -> None:
    cost = {}
    for size in (32, 64):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            flow_net(frames(size, size), frames(size, size))
        cost[size] = counter.get_total_flops()
    assert cost[32] <= cost[64] / 3


def test_a_copy_of_spynet_in_a_repository_is_met_by_its_model() -> None:
    own = {name: member for name, member in vars(SpyNet).items() if name not in ('process', '__dict__', '__weakref__')}
    copied = type('CopiedSpyNet', (torch.nn.Module,), {**own, 'process': unwrap(SpyNet.process)})
    copied.__init__ = lambda self: torch.nn.Module.__init__(self)
    net = copied()
    for name, child in SpyNet().named_children():
        net.add_module(name, child)
    for name, buffer in SpyNet().named_buffers():
        net.register_buffer(name, buffer)
    assert isinstance(net.process.__func__, FunctionType)
    with pytest.raises(RuntimeError):
        net(frames(32, 32), frames(32, 32))
    BaseModel({'num_gpu': 0, 'is_train': False, 'dist': False}).model_to_device(torch.nn.ModuleList([net]))
    assert net(frames(32, 32), frames(32, 32)).shape == (2, 2, 32, 32)


def test_basicvsr_trains_on_32_pixels() -> None:
    net = build_network({'type': 'BasicVSR', 'num_feat': 8, 'num_block': 1})
    out = net(frames(32, 32, clips=3)[None])
    out.mean().backward()
    assert out.shape == (1, 3, 3, 128, 128)
    assert all(parameter.grad is not None for parameter in net.parameters())


@pytest.mark.filterwarnings('ignore:Deformable alignment module is not added')
def test_basicvsrpp_forgets_a_mirrored_clip() -> None:
    net = BasicVSRPlusPlus(mid_channels=2, num_blocks=1)
    clip = frames(4, 4, clips=4)[None]
    mirrored = torch.cat([clip, clip.flip(1)], dim=1)

    def flags(check: Any) -> list[bool]:
        found = []
        for lqs in (mirrored, clip):
            check(net, lqs)
            found.append(net.is_mirror_extended)
        return found

    assert flags(unwrap(BasicVSRPlusPlus.check_if_mirror_extended)) == [True, True]
    assert flags(BasicVSRPlusPlus.check_if_mirror_extended) == [True, False]


# Runs


@pytest.fixture(scope='module')
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """gt/ and lq/ with one sequence of noise."""
    root = tmp_path_factory.mktemp('data')
    noise = np.random.default_rng(0)
    for side, scale in (('gt', SCALE), ('lq', 1)):
        (root / side / '000').mkdir(parents=True)
        for frame in range(FRAMES):
            size = (LQ_SIZE[0] * scale, LQ_SIZE[1] * scale, 3)
            cv2.imwrite(str(root / side / '000' / f'{frame:08d}.png'), noise.integers(0, 256, size, np.uint8))
    return root


def options(data: Path, root: Path, model: str = 'SRModel', dataset: str = 'PairedImageDataset') -> dict[str, Any]:
    """What BasicSR's parser makes of an options file: num_gpu 0, one convolution, metrics."""
    folder = '' if dataset.startswith('Video') else '/000'
    roots = {f'dataroot_{side}': f'{data}/{side}{folder}' for side in ('gt', 'lq')}
    common = {**roots, 'type': dataset, 'io_backend': {'type': 'disk'}, 'scale': SCALE}
    return {
        'name': 'tiny',
        'model_type': model,
        'scale': SCALE,
        'num_gpu': 0,
        'manual_seed': 0,
        'is_train': True,
        'dist': False,
        'rank': 0,
        'world_size': 1,
        'datasets': {
            'train': {
                **common, 'name': 'noise', 'phase': 'train', 'gt_size': 16, 'use_hflip': True, 'use_rot': True,
                'num_worker_per_gpu': 0, 'batch_size_per_gpu': 1, 'dataset_enlarge_ratio': 4, 'pin_memory': False,
            },
            'val': {
                **common, 'name': 'REDS4', 'phase': 'val', 'cache_data': True, 'num_frame': 3, 'padding': 'reflection',
            },
        },
        'network_g': {'type': 'OneConvolution', 'center_only': model == 'VideoBaseModel'},
        'path': {'experiments_root': str(root / 'experiments' / 'tiny'), 'strict_load_g': True, 'resume_state': None},
        'train': {
            'optim_g': {'type': 'Adam', 'lr': 1e-3},
            'scheduler': {'type': 'MultiStepLR', 'milestones': [2, 2, 5], 'gamma': 0.5},
            'total_iter': 2,
            'warmup_iter': -1,
            'pixel_opt': {'type': 'L1Loss', 'loss_weight': 1.0, 'reduction': 'mean'},
        },
        'val': {
            'val_freq': 100,
            'save_img': False,
            'pbar': False,
            'metrics': {'psnr': {'type': 'calculate_psnr', 'crop_border': 0}},
        },
        'logger': {'print_freq': 1, 'save_checkpoint_freq': 1, 'use_tb_logger': False, 'wandb': None},
    }  # fmt: skip


@without_gpu
@pytest.mark.parametrize(
    ('model_type', 'dataset'),
    [
        ('VideoRecurrentModel', 'VideoRecurrentTestDataset'),
        ('VideoBaseModel', 'VideoTestDataset'),
        ('SRModel', 'PairedImageDataset'),
    ],
)
def test_validation_on_the_cpu(model_type: str, dataset: str, data: Path, tmp_path: Path) -> None:
    opt = options(data, tmp_path, model_type, dataset)
    model = build_model(opt)
    loader = torch.utils.data.DataLoader(build_dataset(opt['datasets']['val']), batch_size=1)
    if dataset.startswith('Video'):
        with pytest.raises((RuntimeError, AssertionError), match=r'NVIDIA|CUDA'):
            unwrap(BaseModel.validation)(copy.copy(model), loader, 1, None)
    for iteration in (1, 2):
        model.validation(loader, iteration, None, save_img=False)
    best = model.best_metric_results['REDS4']['psnr']
    assert math.isfinite(best['val'])
    assert best['iter'] == 2  # an equal score counts as the best again
    if dataset.startswith('Video'):
        results = model.metric_results['000']
        assert results.device.type == 'cpu'
        assert results.shape == (FRAMES, 1)
        assert (results > 0).all()


def test_recurrent_validation_keeps_the_batch_dimension(data: Path, tmp_path: Path) -> None:
    """Without the shim the clip that the model holds is squeezed before the network sees it."""
    opt = options(data, tmp_path, 'VideoRecurrentModel', 'VideoRecurrentTestDataset')
    seen: list[int] = []
    model = build_model(opt)
    model.net_g.register_forward_pre_hook(lambda net, inputs: seen.append(inputs[0].ndim))
    dataset = build_dataset(opt['datasets']['val'])
    loader = torch.utils.data.DataLoader(dataset, batch_size=1)
    model.metric_results = {'000': torch.zeros(FRAMES, 1)}
    with pytest.raises(IndexError):
        unwrap(BaseModel.validation)(model, loader, 1, None)
    assert isinstance(model, VideoRecurrentModel)
    model.validation(torch.utils.data.DataLoader(build_dataset(opt['datasets']['val'])), 1, None)
    assert seen == [4, 5]


@without_gpu
def test_auto_resume_finds_the_states_below_the_root(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elsewhere than the working directory, and on the CPU."""
    opt = options(data, tmp_path)
    opt['path'].pop('experiments_root')  # BasicSR's parser makes it from the root
    (tmp_path / 'cwd').mkdir()
    monkeypatch.chdir(tmp_path / 'cwd')
    for total_iter in (2, 3):
        opt['train']['total_iter'] = total_iter
        Path('tiny.yml').write_text(yaml.safe_dump(opt))
        monkeypatch.setattr(sys, 'argv', ['train.py', '-opt', 'tiny.yml', '--auto_resume'])
        train_pipeline(str(tmp_path))
    assert [path.name for path in (tmp_path / 'experiments').iterdir()] == ['tiny']
    state = torch.load(tmp_path / 'experiments/tiny/training_states/3.state', map_location=lambda s, _: s.cuda(0))
    assert state['iter'] == 3
    assert {int(moments['step']) for moments in state['optimizers'][0]['state'].values()} == {3}


@without_gpu
def test_distributed_training_on_the_cpu(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reserved = reserved_port()
    port = reserved.getsockname()[1]
    for name, value in {'RANK': 0, 'WORLD_SIZE': 1, 'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': port}.items():
        monkeypatch.setenv(name, str(value))
    with pytest.raises(ZeroDivisionError):
        unwrap(dist_util._init_dist_pytorch)('nccl')
    dist_util._init_dist_pytorch('nccl')
    try:
        assert torch.distributed.get_backend() == 'gloo'
        model = build_model({**options(data, tmp_path), 'dist': True})
        assert isinstance(model.net_g, torch.nn.parallel.DistributedDataParallel)
        model.feed_data({'lq': torch.rand(1, 3, 8, 8), 'gt': torch.rand(1, 3, 32, 32)})
        model.optimize_parameters(1)
        assert model.get_current_log()['l_pix'] > 0
    finally:
        torch.distributed.destroy_process_group()
        reserved.close()


@without_gpu
@pytest.mark.slow
def test_two_ranks_under_torchrun(data: Path, tmp_path: Path) -> None:
    opt = options(data, tmp_path)
    opt['network_g'] = {'type': 'MSRResNet', 'num_in_ch': 3, 'num_out_ch': 3, 'num_feat': 4, 'num_block': 1}
    opt['val']['val_freq'] = 1
    opt['path'].pop('experiments_root')
    (tmp_path / 'tiny.yml').write_text(yaml.safe_dump(opt))
    train = 'import mg_basicsr\nfrom basicsr.train import train_pipeline\ntrain_pipeline({!r})\n'
    (tmp_path / 'train.py').write_text(train.format(str(tmp_path)))
    torchrun = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', '2']
    command = [*torchrun, 'train.py', '-opt', 'tiny.yml', '--launcher', 'pytorch']
    path = os.pathsep.join([str(Path(mg_basicsr.__file__).parents[1]), os.environ.get('PYTHONPATH', '')])
    subprocess.run(command, check=True, cwd=tmp_path, env={**os.environ, 'PYTHONPATH': path}, timeout=120)
    assert (tmp_path / 'experiments/tiny/models/net_g_latest.pth').exists()

"""BasicSR's own models in reduced precision: gradients close to float32's, and whole runs that survive an overflow."""

from __future__ import annotations

import copy
import logging
import re
from typing import Any

import pytest
import torch

import mg_basicsr  # noqa: F401 - its shims let basicsr be imported
from mg_basicsr.errors import EXIT_CODE, TrainingError
from mg_basicsr.host.data.loader import PlannedBatch
from mg_basicsr.training.extension import extend
from mg_basicsr.training.micro_batches import MicroBatches
from mg_basicsr.training.precision.gradient_guard import MOST_SKIPPED, GradientGuard
from mg_basicsr.training.precision.reduced import ReducedPrecision, check_device, refuse_own_handling
from tests.helpers.project import BLOCK, Project, lines_of, same_weights
from tests.helpers.trainer import Trainer

pytestmark = [
    # EDVR's deformable convolution compares versions in the old way
    pytest.mark.filterwarnings('ignore:distutils Version classes are deprecated'),
]

PIXEL = {'type': 'CharbonnierLoss', 'loss_weight': 1.0, 'reduction': 'mean'}
ADAM = {'type': 'Adam', 'lr': 1e-4}
COMMON = {
    'num_gpu': 0, 'dist': False, 'is_train': True, 'rank': 0, 'world_size': 1, 'path': {}, 'val': {},
    'train': {
        'ema_decay': 0.5, 'optim_g': ADAM, 'optim_d': dict(ADAM), 'pixel_opt': PIXEL,
        'scheduler': {'type': 'MultiStepLR', 'milestones': [100]},
    },
}  # fmt: skip
BASICVSR = {'type': 'BasicVSR', 'num_feat': 8, 'num_block': 1, 'spynet_path': None}
PLUSPLUS = {'type': 'BasicVSRPlusPlus', 'mid_channels': 16, 'num_blocks': 1, 'spynet_path': None}
SRRESNET = {'type': 'MSRResNet', 'num_in_ch': 3, 'num_out_ch': 3, 'num_feat': 8, 'num_block': 1, 'upscale': 4}
EDVR = {'type': 'EDVR', 'num_feat': 8, 'num_frame': 3, 'deformable_groups': 1, 'num_extract_block': 1,
        'num_reconstruct_block': 1, 'with_tsa': True}  # fmt: skip
# (BasicSR's other discriminator normalises over the batch: with two clips, rounding its weights to bfloat16 and back
# already moves its gradient by a fifth in float32.)
UNET = {'type': 'UNetDiscriminatorSN', 'num_in_ch': 3, 'num_feat': 4}
GAN = {'type': 'GANLoss', 'gan_type': 'vanilla', 'real_label_val': 1.0, 'fake_label_val': 0.0, 'loss_weight': 0.1}
# model type, networks, options of training, LQ shape, whether GT has one frame
MODELS: dict[str, tuple[str, dict[str, Any], dict[str, Any], tuple[int, ...], bool]] = {
    'image': ('SRModel', {'network_g': SRRESNET}, {}, (3, 8, 8), False),
    'recurrent': ('VideoRecurrentModel', {'network_g': BASICVSR}, {'flow_lr_mul': 0.125}, (3, 3, 8, 8), False),
    'deformable, recurrent': ('VideoRecurrentModel', {'network_g': PLUSPLUS}, {}, (2, 3, 64, 64), False),
    'sliding window': ('EDVRModel', {'network_g': EDVR}, {}, (3, 3, 8, 8), True),
    'adversarial': (
        'SRGANModel', {'network_g': SRRESNET, 'network_d': UNET},
        {'gan_opt': GAN, 'net_d_iters': 1, 'net_d_init_iters': 0}, (3, 16, 16), False,
    ),
}  # fmt: skip
# The largest distance to float32's gradient, as a share of its norm. Seen on these: at most 0.011 and 0.005.
BOUNDS = {'bfloat16': 0.03, 'float16': 0.01}


def build(name: str, device: str = 'cpu') -> Any:
    from basicsr.models import build_model

    model_type, networks, options, _, _ = MODELS[name]
    opt: dict[str, Any] = copy.deepcopy({**COMMON, **networks, 'model_type': model_type})
    opt['num_gpu'] = int(device == 'cuda')
    opt['train'] |= copy.deepcopy(options)
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        if networks['network_g'] is PLUSPLUS:  # it leaves alignment out where there is no GPU; torchvision has it there
            patch.setattr(torch.cuda, 'is_available', lambda: True)
        return build_model(opt)


def batch(name: str, clips: int = 2, parts: int = 1) -> PlannedBatch:
    """Clips that differ from what the networks make of them by more than rounding does."""
    *_, shape, one_frame = MODELS[name]
    generator = torch.Generator().manual_seed(1)
    lq = torch.rand(clips, *shape, generator=generator)
    frames = lq[:, 1] if one_frame else lq
    gt = frames.repeat_interleave(4, -1).repeat_interleave(4, -2)
    return PlannedBatch({'lq': lq, 'gt': 0.8 * gt + 0.1 * torch.rand(gt.shape, generator=generator)}, parts)


def in_precision(model: Any, precision: str) -> Any:
    """The model in a precision, wrapped as a run does it; its guard."""
    guard = GradientGuard(precision)
    extend(model, [ReducedPrecision(precision), guard])
    return guard


def gradients(model: Any, data: PlannedBatch) -> list[torch.Tensor]:
    """The gradient that each optimiser steps on in one iteration, as a vector."""
    found = []
    for optimizer in model.optimizers:
        optimizer.register_step_pre_hook(
            lambda optimizer, *_: found.append(
                torch.cat([p.grad.flatten() for g in optimizer.param_groups for p in g['params'] if p.grad is not None])
            )
        )
    model.feed_data(data)
    model.optimize_parameters(1)
    return found


def distance(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


# torch convolves float16 on the CPU a hundred times slower than float32
SLOW_ON_CPU = {('deformable, recurrent', 'bfloat16'), ('deformable, recurrent', 'float16')}
CASES = [
    pytest.param(name, precision, marks=[pytest.mark.slow] if (name, precision) in SLOW_ON_CPU else [])
    for name in MODELS
    for precision in BOUNDS
]


@pytest.mark.parametrize(('name', 'precision'), CASES)
def test_gradients_are_close_to_those_of_float32(name: str, precision: str) -> None:
    expected = gradients(build(name), batch(name))
    model = build(name)
    guard = in_precision(model, precision)
    found = gradients(model, batch(name))
    assert guard.skipped == 0
    assert len(found) == len(expected) == len(model.optimizers)
    assert {value.dtype for value in found} == {torch.float32} == {model.output.dtype}
    errors = [distance(mine, theirs) for mine, theirs in zip(found, expected, strict=True)]
    assert all(0 < error < BOUNDS[precision] for error in errors), errors
    assert all(torch.isfinite(torch.tensor(value)) for value in model.log_dict.values())


def test_float32_is_not_touched() -> None:
    model = build('image')
    objects = [model, model.net_g, model.optimizer_g]
    before = [dict(vars(each)) for each in objects]
    extend(model, [])  # float32 has no extension
    assert [vars(each) for each in objects] == before


def test_validation_is_in_float32_to_the_bit() -> None:
    plain, model = build('recurrent'), build('recurrent')
    in_precision(model, 'bfloat16')
    for each in (plain, model):
        each.feed_data(batch('recurrent'))
        each.test()
    assert torch.equal(model.output, plain.output)


@pytest.mark.parametrize(('name', 'precision'), [('recurrent', 'bfloat16'), ('image', 'float16')])
def test_passes_add_up_to_the_large_batch(name: str, precision: str) -> None:
    whole, divided = build(name), build(name)
    in_precision(whole, precision)
    extend(divided, [MicroBatches()])
    guard = in_precision(divided, precision)
    (expected,) = gradients(whole, batch(name, clips=2))
    (found,) = gradients(divided, batch(name, clips=2, parts=2))
    assert distance(found, expected) < BOUNDS[precision] / 5  # the clips round alike in both, not their sums
    assert guard.good == 1


def test_an_overflow_of_float16_is_survived() -> None:
    model = build('image')
    guard = in_precision(model, 'float16')
    guard.scale = 2.0**30  # no gradient of this network bears that
    before = [value.clone() for net in (model.net_g, model.net_g_ema) for value in net.state_dict().values()]
    skipped = 0
    while True:
        model.feed_data(batch('image'))
        model.optimize_parameters(1)
        after = [value for net in (model.net_g, model.net_g_ema) for value in net.state_dict().values()]
        if guard.skipped == skipped:
            break
        skipped += 1
        assert guard.scale == 2.0 ** (30 - skipped)
        assert all(torch.equal(mine, theirs) for mine, theirs in zip(after, before, strict=True))
        assert not model.optimizer_g.state
    assert 0 < skipped < MOST_SKIPPED and guard.in_a_row == 0
    assert not any(torch.equal(mine, theirs) for mine, theirs in zip(after, before, strict=True))
    assert all(value.isfinite().all() for value in after)


# Refusals


class Scaled:
    def optimize_parameters(self, scaler: Any, current_iter: int) -> None: ...


class Clipped:
    def optimize_parameters(self, current_iter: int) -> None:
        torch.nn.utils.clip_grad_norm_([], 0.01)


@pytest.mark.parametrize('kind', [Scaled, Clipped])
@pytest.mark.parametrize('precision', ['bfloat16', 'float16'])
def test_models_that_handle_gradients_themselves_are_refused_by_name(kind: type, precision: str) -> None:
    with pytest.raises(TrainingError, match=f'multigrid.precision: {precision} .*{kind.__name__}') as error:
        refuse_own_handling(kind(), precision)
    assert len(str(error.value).splitlines()) == 3


def test_a_model_without_networks_is_refused() -> None:
    model = build('image')
    model.generator = model.__dict__.pop('net_g')
    assert in_precision(model, 'bfloat16') is not None  # of any name
    model = build('image')
    hidden = model.__dict__.pop('net_g')
    model.make_network = lambda: hidden
    with pytest.raises(TrainingError, match=r'no optimizer of SRModel trains a network that it holds'):
        in_precision(model, 'bfloat16')


def test_a_device_without_the_type_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def autocast(*args: Any) -> None:
        raise RuntimeError('Current CUDA Device does not support bfloat16.')

    check_device('cpu', 'bfloat16')
    monkeypatch.setattr(torch, 'autocast', autocast)
    with pytest.raises(TrainingError, match=r'(?s)precision: bfloat16 is not available on this cuda .* use float16'):
        check_device('cuda', 'bfloat16')


# Whole runs


@pytest.fixture
def small(project: Project) -> Project:
    """A project without validation, with a network that takes little time."""
    project.shrink()
    return project


# the loss of some iterations, by their number, times a constant
SPOIL = """
import mg_basicsr
import basicsr.losses
from basicsr.utils.registry import LOSS_REGISTRY
from mg_basicsr.host.run import active_run
loss = LOSS_REGISTRY.get('CharbonnierLoss')
forward = loss.forward
loss.forward = lambda self, *args: forward(self, *args) * ({factor} if active_run().iteration {where} else 1.0)
"""


def test_the_key_at_its_default_changes_no_bit(trainer: Trainer, small: Project) -> None:
    weights = []
    for block in (BLOCK, {**BLOCK, 'precision': 'float32'}):
        small.options['name'] = f'run_{len(weights)}'
        small.write(block)
        trainer(small)
        weights.append(small.weights())
    assert same_weights(*weights)


def test_a_run_in_bfloat16(trainer: Trainer, small: Project) -> None:
    weights = []
    for precision in ('float32', 'bfloat16'):
        small.options['name'] = precision
        small.write({**BLOCK, 'precision': precision, 'base_batch_size': 4, 'max_clips': 1})  # in up to four passes
        trainer(small)
        weights.append(small.weights())
    assert 'multigrid: net_g trains in bfloat16, with warp, losses in float32' in small.log()
    assert len(small.losses()) == 12 and not any('nan' in loss for loss in small.losses())
    assert not same_weights(*weights)
    for group, values in weights[0].items():
        for key, value in values.items():
            assert weights[1][group][key].dtype == torch.float32
            assert torch.allclose(weights[1][group][key], value, atol=0.02)  # 12 steps of Adam at 1e-3


def test_a_run_goes_on_after_an_overflow(trainer: Trainer, small: Project) -> None:
    small.write({**BLOCK, 'precision': 'float16'})
    trainer(small, before=SPOIL.format(factor='1e38', where='in (3, 4)'))
    told = re.findall(r'multigrid: iteration (\d+): gradient not finite, step skipped \((.*)\); loss scale now (\d+)',
                      small.log())  # fmt: skip
    assert told == [('3', '1 in a row, 1 in all', '32768'), ('4', '2 in a row, 2 in all', '16384')]
    assert all(value.isfinite().all() for group in small.weights().values() for value in group.values())


def test_what_persists_ends_the_run_with_its_checkpoints_good(trainer: Trainer, small: Project) -> None:
    small.options['train']['total_iter'] = small.options['train']['scheduler']['periods'][0] = 60
    small.write({**BLOCK, 'precision': 'bfloat16'})
    output = trainer(small, before=SPOIL.format(factor='float("nan")', where='> 6'), code=EXIT_CODE)
    assert 'Traceback' not in output
    last = lines_of(output)[-3:]
    assert last[0].startswith(f'multigrid.precision: bfloat16: the gradient was not finite in {MOST_SKIPPED} iter')
    assert f'iteration {6 + MOST_SKIPPED}: gradient not finite' in small.log()
    saved = [small.weights(iteration) for iteration in (6, 12, 24)]
    assert same_weights(saved[0], saved[1]) and same_weights(saved[0], saved[2])
    assert all(value.isfinite().all() for group in saved[0].values() for value in group.values())


def test_a_model_that_clips_is_refused_at_the_start(trainer: Trainer, small: Project) -> None:
    own = """
import torch
import mg_basicsr
from basicsr.models.video_recurrent_model import VideoRecurrentModel
from basicsr.utils.registry import MODEL_REGISTRY
@MODEL_REGISTRY.register()
class ClippingModel(VideoRecurrentModel):
    def optimize_parameters(self, current_iter):
        torch.nn.utils.clip_grad_norm_(self.net_g.parameters(), 0.01)
"""
    small.options['model_type'] = 'ClippingModel'
    small.write({**BLOCK, 'precision': 'bfloat16'})
    output = trainer(small, before=own, code=EXIT_CODE)
    assert 'multigrid.precision: bfloat16 cannot be used with model_type ClippingModel' in output
    assert 'Traceback' not in output


# On a GPU


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
@pytest.mark.parametrize('precision', ['bfloat16', 'float16'])
@pytest.mark.parametrize('name', MODELS)
def test_gradients_on_a_gpu(name: str, precision: str) -> None:
    logging.getLogger('basicsr').setLevel(logging.WARNING)
    expected = gradients(build(name, 'cuda'), batch(name))
    model = build(name, 'cuda')
    guard = in_precision(model, precision)
    found = gradients(model, batch(name))
    assert guard.skipped == 0
    errors = [distance(mine, theirs) for mine, theirs in zip(found, expected, strict=True)]
    assert all(0 < error < BOUNDS[precision] for error in errors), errors

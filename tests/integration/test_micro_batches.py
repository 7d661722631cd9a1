"""Several passes give the large batch's gradient: BasicSR's own models, tiny, in float64."""

from __future__ import annotations

import copy
import functools

import pytest
import torch

import mg_basicsr  # noqa: F401 - its shims let basicsr be imported
from mg_basicsr.errors import TrainingError
from mg_basicsr.host.data.loader import PlannedBatch
from mg_basicsr.training.extension import extend
from mg_basicsr.training.micro_batches import MicroBatches
from mg_basicsr.training.trial.passes import measure_passes
from mg_basicsr.training.trial.snapshot import on_trial
from tests.helpers.networks import NARROW_FLOW, NarrowModule
from tests.helpers.project import BLOCK

# EDVR's deformable convolution compares versions in the old way
pytestmark = pytest.mark.filterwarnings('ignore:distutils Version classes are deprecated')

CLIPS = 4
PIXEL = {'type': 'CharbonnierLoss', 'loss_weight': 1.0, 'reduction': 'mean'}
ADAM = {'type': 'Adam', 'lr': 1e-4}
COMMON = {
    'num_gpu': 0, 'dist': False, 'is_train': True, 'rank': 0, 'world_size': 1, 'path': {},
    'train': {
        'ema_decay': 0.5, 'optim_g': ADAM, 'optim_d': dict(ADAM), 'pixel_opt': PIXEL,
        'scheduler': {'type': 'MultiStepLR', 'milestones': [100]},
    },
}  # fmt: skip
BASICVSR = {'type': 'BasicVSR', 'num_feat': 4, 'num_block': 1, 'spynet_path': None}
SRRESNET = {'type': 'MSRResNet', 'num_in_ch': 3, 'num_out_ch': 3, 'num_feat': 4, 'num_block': 1, 'upscale': 4}
EDVR = {'type': 'EDVR', 'num_feat': 8, 'num_frame': 3, 'deformable_groups': 1, 'num_extract_block': 1,
        'num_reconstruct_block': 1, 'with_tsa': False}  # fmt: skip
GAN = {'type': 'GANLoss', 'gan_type': 'vanilla', 'real_label_val': 1.0, 'fake_label_val': 0.0, 'loss_weight': 0.1}
MODELS = {
    'image': ('SRModel', {'network_g': SRRESNET}, {}, (3,), (3,)),
    'recurrent with fix_flow': (
        'VideoRecurrentModel', {'network_g': BASICVSR}, {'fix_flow': 2, 'flow_lr_mul': 0.125}, (3, 3), (3, 3)
    ),
    'sliding window, sum': (
        'EDVRModel', {'network_g': EDVR}, {'pixel_opt': {**PIXEL, 'reduction': 'sum'}}, (3, 3), (3,)
    ),
    'adversarial': (
        'SRGANModel',
        {'network_g': SRRESNET, 'network_d': {'type': 'PlainDiscriminator'}},
        {'gan_opt': GAN, 'net_d_iters': 1, 'net_d_init_iters': 0}, (3,), (3,),
    ),
}  # fmt: skip


class PlainDiscriminator(torch.nn.Sequential):
    """BasicSR's own discriminators keep batch or spectral norms, which see each pass and not the batch."""

    def __init__(self) -> None:
        super().__init__(torch.nn.Conv2d(3, 4, 3, 2), torch.nn.LeakyReLU(0.2), torch.nn.Conv2d(4, 1, 3, 2))


@pytest.fixture(autouse=True)
def float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def build(name: str, **top):
    """The model; `top` are options of the top level."""
    from basicsr.archs import spynet_arch
    from basicsr.models import build_model
    from basicsr.utils.registry import ARCH_REGISTRY

    if PlainDiscriminator.__name__ not in ARCH_REGISTRY:
        ARCH_REGISTRY.register(PlainDiscriminator)
    model_type, networks, options, _, _ = MODELS[name]
    opt = copy.deepcopy({**COMMON, **networks, 'model_type': model_type, **top})
    opt['train'] |= copy.deepcopy(options)
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spynet_arch, 'BasicModule', NarrowModule)
        return build_model(opt)


def batch(name: str, parts: int) -> PlannedBatch:
    _, _, _, lq, gt = MODELS[name]
    generator = torch.Generator().manual_seed(1)
    size = 8
    return PlannedBatch(
        {
            'lq': torch.rand(CLIPS, *lq, size, size, generator=generator),
            'gt': torch.rand(CLIPS, *gt, 4 * size, 4 * size, generator=generator),
            'key': [str(n) for n in range(CLIPS)],
        },
        parts,
    )


def train(model, batches: list) -> list:
    """Gradients as each optimiser steps on them, in order."""
    gradients = []
    for optimizer in model.optimizers:
        step = type(optimizer).step

        def noted(*args, optimizer=optimizer, step=step, **kwargs):
            gradients.append(
                [None if p.grad is None else p.grad.clone() for g in optimizer.param_groups for p in g['params']]
            )
            return step(optimizer, *args, **kwargs)

        optimizer.step = noted
    for current_iter, data in enumerate(batches, start=1):
        model.feed_data(data)
        model.optimize_parameters(current_iter)
    return gradients


@pytest.mark.parametrize('parts', [2, 4])
@pytest.mark.parametrize('name', MODELS)
def test_gradients_weights_log_and_average_are_the_large_batchs(name, parts):
    whole, divided = build(name), build(name)
    extend(divided, [MicroBatches()])
    expected, found = train(whole, [batch(name, 1)] * 3), train(divided, [batch(name, parts)] * 3)
    assert len(found) == len(expected) == 3 * len(whole.optimizers)
    for step, other in zip(found[: len(whole.optimizers)], expected, strict=False):  # equal weights before it
        norm = max(g.norm() for g in other if g is not None)
        for mine, theirs in zip(step, other, strict=True):
            assert (mine is None) == (theirs is None)
            assert mine is None or (mine - theirs).norm() <= 1e-12 * norm
    for network in ('net_g', 'net_g_ema', 'net_d'):
        if hasattr(whole, network):
            ours, theirs = getattr(divided, network).state_dict(), getattr(whole, network).state_dict()
            assert all(torch.allclose(ours[key], theirs[key], rtol=1e-8, atol=1e-10) for key in ours)
    assert divided.log_dict.keys() == whole.log_dict.keys()
    for key, value in whole.log_dict.items():
        assert divided.log_dict[key] == pytest.approx(value, rel=1e-9)


def test_it_can_fail():
    """The comparison above sees another batch."""
    whole, divided = build('image'), build('image')
    extend(divided, [MicroBatches()])
    expected = train(whole, [batch('image', 1)])[0]
    data = batch('image', 2)
    data['gt'] = data['gt'] * 0.9
    divided.feed_data(data)
    divided.optimize_parameters(1)
    found = [parameter.grad for parameter in divided.net_g.parameters()]
    assert any((mine - theirs).norm() > 1e-6 for mine, theirs in zip(found, expected, strict=True))


def test_validation_data_is_fed_whole():
    model = build('image')
    extend(model, [MicroBatches()])
    model.feed_data({'lq': torch.zeros(1, 3, 8, 8), 'gt': torch.zeros(1, 3, 32, 32)})
    assert model.lq.shape == (1, 3, 8, 8)


class Scaled:
    optimizers = ()

    def feed_data(self, data): ...

    def optimize_parameters(self, scaler, current_iter): ...


class Clipped(Scaled):
    def optimize_parameters(self, current_iter):
        torch.nn.utils.clip_grad_norm_([], 0.01)


class ClippedInAMethod(Scaled):
    def optimize_parameters(self, current_iter):
        self.backward()

    def backward(self):
        torch.nn.utils.clip_grad_norm_([], 0.01)


class HiFaceGANModel(Scaled):
    """Of a repository's own, under the name of one of BasicSR's."""

    def optimize_parameters(self, current_iter): ...


def renamed_hifacegan():
    from basicsr.models.hifacegan_model import HiFaceGANModel as Stock

    return type('Renamed', (Stock,), {'__init__': lambda self: None, 'optimizers': ()})


@pytest.mark.parametrize(
    ('kind', 'reason'),
    [
        (lambda: Scaled, 'gradient scaler'),
        (lambda: Clipped, 'clips the gradient'),
        (lambda: ClippedInAMethod, 'clips the gradient'),
        (renamed_hifacegan, 'normalise over the batch'),
    ],
)
def test_models_that_cannot_be_divided_are_refused(kind, reason):
    kind = kind()
    with pytest.raises(TrainingError, match=f'(?s){kind.__name__}.*{reason}'):
        extend(kind(), [MicroBatches()])


def test_a_model_is_not_refused_by_its_name():
    extend(HiFaceGANModel(), [MicroBatches()])


def measured(name: str, model_type: str | None = None, **train):
    """The model of that name, its options of training changed, measured."""
    before = MODELS[name]
    changed = (model_type or before[0], before[1], {**before[2], **train}, *before[3:])
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, name, changed)
        model, micro = build(name), MicroBatches()
    extend(model, [micro])
    data = batch(name, 1)
    clips = [{key: data[key][n] for key in ('lq', 'gt', 'key')} for n in range(CLIPS)]
    with on_trial(model):
        return measure_passes(
            model, micro, clips, PlannedBatch, lambda iteration: functools.partial(micro.step, iteration), 30
        )


@pytest.mark.parametrize('name', MODELS)
def test_models_of_basicsr_are_measured_to_be_exact(name):
    found = measured(name)
    assert not found.unknown and found.difference <= found.tolerance == 1e-6
    assert found.mean == ('sum' not in name)


HINGE, WASSERSTEIN = {**GAN, 'gan_type': 'hinge'}, {**GAN, 'gan_type': 'wgan'}
SUM = {**PIXEL, 'reduction': 'sum'}


@pytest.mark.parametrize('changes', [
    {'pixel_opt': SUM},
    {'pixel_opt': SUM, 'gan_opt': HINGE},
    {'pixel_opt': SUM, 'gan_opt': WASSERSTEIN},
    {'model_type': 'ESRGANModel'},
])  # fmt: skip
def test_losses_that_no_sum_over_passes_gives_are_measured(changes):
    found = measured('adversarial', **changes)
    assert not found.unknown and found.difference > 1e-4 > found.tolerance


@pytest.mark.parametrize('gan', [HINGE, WASSERSTEIN])
def test_hinge_and_wasserstein_losses_beside_a_mean_are_exact(gan):
    found = measured('adversarial', gan_opt=gan)
    assert found.mean and found.difference <= found.tolerance == 1e-6


def test_a_run_is_refused_before_its_first_step_also_without_the_check(trainer, new_project):
    project = new_project()
    project.options['model_type'] = 'VideoRecurrentGANModel'
    project.options['network_d'] = {'type': 'UNetDiscriminatorSN', 'num_in_ch': 3, 'num_feat': 4}
    train = project.options['train']
    train |= {'lr_flow': 1e-4, 'optim_d': dict(train['optim_g']), 'gan_opt': HINGE, 'pixel_opt': SUM}
    project.write({**BLOCK, 'temporal': [1.0], 'batch_size': 4, 'base_batch_size': 4, 'max_clips': 1, 'check': False})
    text = trainer(project, before=NARROW_FLOW, code=2)
    assert 'cannot take a step in several passes' in text and 'differs from one pass by' in text
    assert 'multigrid.max_clips' in text and not project.losses()

"""Sub-batch norm against plain batch norms of the sub-batches' size, and what checkpoints and copies hold of it."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.checkpoint import checkpoint

from mg_basicsr.errors import TrainingError
from mg_basicsr.training.batch_norm.sub_batches import SubBatchNorm, share_count

KINDS = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}
CHANNELS = 3


def network() -> nn.Sequential:
    """Two batch norm layers around a convolution, with weights that are not all one."""
    torch.manual_seed(0)
    convolution = nn.Conv2d(CHANNELS, 4, 3, bias=False)
    net = nn.Sequential(nn.BatchNorm2d(CHANNELS), convolution, nn.BatchNorm2d(4), nn.LeakyReLU(0.2))
    for layer in (net[0], net[2]):
        nn.init.normal_(layer.weight), nn.init.normal_(layer.bias)
    return net.double()


def clips(*shape: int, seed: int = 1) -> torch.Tensor:
    """Clips whose means and variances differ."""
    generator = torch.Generator().manual_seed(seed)
    level = torch.arange(shape[0], dtype=torch.float64).view(-1, *[1] * (len(shape) - 1))
    return torch.randn(*shape, generator=generator, dtype=torch.float64) * (1 + level) + level


def divided(net: nn.Module, parts: int) -> SubBatchNorm:
    norm = SubBatchNorm({'net': net})
    norm.divide(parts)
    return norm


def gradients(net: nn.Module) -> list[torch.Tensor]:
    return [parameter.grad for parameter in net.parameters()]


def running_statistics(layers: list[Any]) -> torch.Tensor:
    """(2, layers, c)"""
    return torch.stack([torch.stack([layer.running_mean, layer.running_var]) for layer in layers], 1)


def backward(output: torch.Tensor) -> None:
    (output * clips(*output.shape, seed=2)).sum().backward()


# Training


@settings(max_examples=30)
@given(
    dims=st.integers(2, 5), parts=st.integers(1, 5), size=st.integers(2, 4), steps=st.integers(1, 3),
    affine=st.booleans(), tracked=st.booleans(), momentum=st.sampled_from([None, 0.1, 1.0]), data=st.integers(0, 99),
)  # fmt: skip
def test_parts_equal_as_many_plain_layers(
    dims: int, parts: int, size: int, steps: int, affine: bool, tracked: bool, momentum: float | None, data: int
) -> None:
    """Outputs and gradients of each share are those of a plain layer of its own, and so are running statistics."""
    arguments: Any = {'affine': affine, 'track_running_stats': tracked, 'momentum': momentum}
    plain = [KINDS[dims](CHANNELS, **arguments).double() for _ in range(parts)]
    layer = KINDS[dims](CHANNELS, **arguments).double()
    norm = divided(layer, parts)
    for step in range(steps):
        x = clips(parts * size, CHANNELS, *[2] * (dims - 2), seed=data + step).requires_grad_()
        shares = x.detach().clone().requires_grad_()
        output = layer(x)
        expected = torch.cat([one(share) for one, share in zip(plain, shares.chunk(parts), strict=True)])
        assert torch.equal(output, expected)
        gradient = clips(*x.shape, seed=2)
        assert torch.equal(*torch.autograd.grad(output, x, gradient), *torch.autograd.grad(expected, shares, gradient))
    if tracked and parts > 1:
        running = norm.layers['net.'].running
        assert torch.allclose(running, running_statistics(plain), rtol=1e-12, atol=1e-14)
    if tracked:
        assert layer.num_batches_tracked == steps


def test_eight_clips_with_two_splits_equal_two_networks_of_four() -> None:
    """Of a whole network: outputs and the gradients of all parameters, in float32 to rounding too."""
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-4)):
        net = network().to(dtype)
        fours = [copy.deepcopy(net) for _ in range(2)]
        norm = divided(net, 2)
        x = clips(8, CHANNELS, 6, 6).to(dtype)
        output = net(x)
        expected = torch.cat([four(share) for four, share in zip(fours, x.chunk(2), strict=True)])
        assert torch.allclose(output, expected, rtol=tolerance)
        backward(output.double()), backward(expected.double())
        for gradient, *parts in zip(gradients(net), *map(gradients, fours), strict=True):
            assert torch.allclose(gradient, sum(parts), rtol=tolerance, atol=tolerance * gradient.abs().max().item())
        for name, layer in norm.layers.items():
            plain = [four.get_submodule(name.removeprefix('net.')) for four in fours]
            assert torch.allclose(layer.running, running_statistics(plain), rtol=tolerance)


def test_a_single_part_is_untouched() -> None:
    net, plain = network(), network()
    divided(net, 1)
    x = clips(4, CHANNELS, 6, 6)
    assert torch.equal(net(x), plain(x))
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), plain.state_dict().values(), strict=True))


def test_clips_of_a_pass_are_normalised_alone() -> None:
    """Two passes of four clips have the gradient of one pass of eight: what plain batch norm cannot do."""
    whole, passes, plain = network(), network(), network()
    divided(whole, 2), divided(passes, 1)
    x = clips(8, CHANNELS, 6, 6)
    weights = clips(8, 4, 4, 4, seed=2)
    (whole(x) * weights).sum().backward()
    (plain(x) * weights).sum().backward()
    for share, weight in zip(x.chunk(2), weights.chunk(2), strict=True):
        (passes(share) * weight).sum().backward()
    close = [
        [torch.allclose(a, b, rtol=1e-9, atol=1e-9) for a, b in zip(gradients(net), gradients(passes), strict=True)]
        for net in (whole, plain)
    ]
    assert all(close[0]) and not all(close[1])


def test_network_called_twice_before_backward_and_checkpointed() -> None:
    """As a discriminator is; and as a recurrent network that recomputes its activations."""
    net, reference = network(), network()
    divided(net, 2), divided(reference, 2)
    x = clips(8, CHANNELS, 6, 6).requires_grad_()
    backward(net(x) + net(2 * x))
    backward(reference(x) + checkpoint(reference, 2 * x, use_reentrant=False))
    assert all(torch.allclose(a, b) for a, b in zip(gradients(net), gradients(reference), strict=True))


@pytest.mark.parametrize(
    ('length', 'parts', 'shares'), [(8, 2, 2), (8, 3, 2), (9, 4, 3), (7, 4, 1), (2, 8, 2), (0, 2, 1)]
)
def test_share_count(length: int, parts: int, shares: int) -> None:
    assert share_count(length, parts) == shares


def test_a_length_that_does_not_divide() -> None:
    """Six clips in four parts are three shares; the parts' statistics are those of the shares that hold their start."""
    layer = nn.BatchNorm2d(CHANNELS, momentum=1.0).double()
    norm = divided(layer, 4)
    x = clips(6, CHANNELS, 2, 2)
    layer(x)
    means = torch.stack([share.mean([0, 2, 3]) for share in x.chunk(3)])
    assert torch.allclose(norm.layers['net.'].running[0], means[[0, 0, 1, 2]])


# Evaluation


@pytest.mark.parametrize('steps', [1, 5])
def test_evaluation_is_plain_with_the_statistics_of_all_parts(steps: int) -> None:
    """The mean of the means, and the mean of the variances plus the variance of the means, computed directly."""
    parts, momentum = 4, 0.3
    layer = nn.BatchNorm2d(CHANNELS, momentum=momentum).double()
    divided(layer, parts)
    means, variances = torch.zeros(parts, CHANNELS).double(), torch.ones(parts, CHANNELS).double()
    for step in range(steps):
        x = clips(12, CHANNELS, 3, 3, seed=step)
        layer(x)
        for part in range(parts):
            share = x[3 * part : 3 * part + 3].transpose(0, 1).reshape(CHANNELS, -1)
            means[part] += momentum * (share.mean(1) - means[part])
            variances[part] += momentum * (share.var(1) - variances[part])
    mean = means.sum(0) / parts
    variance = variances.sum(0) / parts + ((means - mean) ** 2).sum(0) / parts
    assert torch.allclose(layer.running_mean, mean, rtol=1e-12)
    assert torch.allclose(layer.running_var, variance, rtol=1e-12)
    layer.eval()
    y = clips(5, CHANNELS, 3, 3, seed=9)
    expected = nn.functional.batch_norm(y, layer.running_mean, layer.running_var, layer.weight, layer.bias)
    assert torch.equal(layer(y), expected)


def test_aggregate_is_the_variance_of_all_clips() -> None:
    """With biased variances the two terms are those of the law of total variance."""
    layer = nn.BatchNorm1d(CHANNELS, momentum=1.0).double()
    divided(layer, 2)
    x = clips(8, CHANNELS)
    layer(x)
    within = torch.stack([share.var(0) for share in x.chunk(2)]).mean(0)
    assert torch.allclose(layer.running_mean, x.mean(0))
    assert torch.allclose(layer.running_var - within / 4, x.var(0, unbiased=False))


# Stages


def test_new_parts_start_from_the_statistics_of_all() -> None:
    layer = nn.BatchNorm2d(CHANNELS).double()
    norm = divided(layer, 4)
    layer(clips(8, CHANNELS, 3, 3))
    before = copy.deepcopy(layer.state_dict())
    norm.divide(4)
    assert len({tuple(row) for row in norm.layers['net.'].running[0].tolist()}) == 4  # nothing happens
    norm.divide(2)
    for name, rows in zip(('running_mean', 'running_var'), norm.layers['net.'].running, strict=True):
        assert rows.shape == (2, CHANNELS) and all(torch.equal(row, before[name]) for row in rows)
    assert all(torch.equal(before[key], value) for key, value in layer.state_dict().items())


def test_own_forward_is_left_alone() -> None:
    class Own(nn.BatchNorm2d):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    shared = nn.BatchNorm2d(3)
    net = nn.Sequential(Own(3), nn.SyncBatchNorm(3), nn.InstanceNorm2d(3), shared)
    assert list(SubBatchNorm({'net': net, 'twin': nn.Sequential(shared)}).layers) == ['net.3']


# Checkpoints and copies


def test_checkpoint_is_plain_batch_norms_and_back() -> None:
    net, plain = network(), network()
    norm = divided(net, 2)
    net(clips(8, CHANNELS, 6, 6))
    assert net.state_dict().keys() == plain.state_dict().keys()
    for ours, theirs in zip(net.state_dict().values(), plain.state_dict().values(), strict=True):
        assert ours.shape == theirs.shape
    assert [type(module) for module in net.modules()] == [type(module) for module in plain.modules()]
    assert dict(net.named_buffers()).keys() == dict(plain.named_buffers()).keys()

    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    file.seek(0)
    plain.load_state_dict(torch.load(file, weights_only=True))
    y = clips(5, CHANNELS, 6, 6, seed=3)
    assert torch.equal(plain.eval()(y), net.eval()(y))

    plain.train()(3 + clips(8, CHANNELS, 6, 6, seed=4))
    net.load_state_dict(plain.state_dict())
    rows = norm.layers['net.0'].running
    assert all(torch.equal(row, plain[0].running_mean) for row in rows[0])
    assert all(torch.equal(row, plain[0].running_var) for row in rows[1])


def test_state_round_trip_in_the_middle_of_a_run() -> None:
    """Network file and state together continue to the bit; the network file alone does not."""

    def steps(net: nn.Module, first: int, last: int) -> None:
        for step in range(first, last):
            net(clips(8, CHANNELS, 6, 6, seed=step))

    whole, resumed, without = network(), network(), network()
    norm = divided(whole, 2)
    steps(whole, 0, 3)
    file = io.BytesIO()
    torch.save({'net': whole.state_dict(), 'part': norm.state_dict()}, file)
    steps(whole, 3, 6)
    for net, complete in ((resumed, True), (without, False)):
        file.seek(0)
        state = torch.load(file, weights_only=True)
        net.load_state_dict(state['net'])
        part = SubBatchNorm({'net': net})
        if complete:
            part.load_state_dict(state['part'])
        part.divide(2)  # as the first iteration after a resume does
        steps(net, 3, 6)
        equal = [torch.equal(a, b) for a, b in zip(net.state_dict().values(), whole.state_dict().values(), strict=True)]
        assert all(equal) is complete
        if complete:
            for name, layer in part.layers.items():
                assert torch.equal(layer.running, norm.layers[name].running)


def test_state_of_another_network() -> None:
    norm, other = divided(nn.Sequential(nn.BatchNorm2d(3)), 2), divided(nn.Sequential(nn.BatchNorm2d(4)), 1)
    with pytest.raises(TrainingError, match=r'resume_state: batch norm statistics of net\.0 with shape \(2, 2, 3\)'):
        other.load_state_dict(norm.state_dict())
    assert other.parts == 1 and other.layers['net.0'].running is None
    missing = {**norm.state_dict(), 'running': {}}
    with pytest.raises(TrainingError, match='needed: shape'):
        norm.load_state_dict(missing)


@pytest.mark.parametrize('duplicate', [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_live_on_their_own(duplicate: Any) -> None:
    net = network()
    norm = divided(net, 2)
    x = clips(8, CHANNELS, 6, 6)
    net(x)
    for layer in norm.layers.values():
        layer.group = object()  # cannot be pickled, as a process group cannot
    twin = duplicate(net)
    for layer in norm.layers.values():
        layer.group = None
    assert isinstance(twin[0], nn.BatchNorm2d) and twin[0].forward.layer is twin[0]
    assert torch.equal(twin(x), net(x))
    assert all(torch.equal(a, b) for a, b in zip(twin.state_dict().values(), net.state_dict().values(), strict=True))
    before = net[0].running_mean.clone()
    twin(5 + x)
    twin.load_state_dict(network().state_dict())
    assert torch.equal(before, net[0].running_mean)
    assert torch.equal(before, norm.layers['net.0'].running[0].mean(0))
    assert all(torch.equal(row, twin[0].running_mean) for row in twin[0].forward.running[0])


def test_frozen_layer_in_training() -> None:
    """A layer in evaluation mode inside a network that trains is plain, and its statistics stay."""
    net = network()
    divided(net, 2)
    net[0].eval()
    before = net[0].running_mean.clone()
    net(clips(8, CHANNELS, 6, 6))
    assert torch.equal(net[0].running_mean, before)

"""What is put back into networks, and what stays frozen."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from mg_basicsr.training.networks import freeze, frozen_by_options, frozen_parameters, load_weights, networks_of


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.spynet = nn.Linear(2, 2)
        self.edvr = nn.Linear(2, 2, bias=False)
        self.fusion = nn.Linear(2, 2, bias=False)
        self.norm = nn.BatchNorm1d(2)


ALL = [name for name, _ in Network().named_parameters()]


def test_networks_are_found_by_name() -> None:
    model = SimpleNamespace(net_g=nn.DataParallel(Network()), net_d=Network(), net_g_ema=Network(), cri_pix=nn.L1Loss())
    model.net_d_iters = 1  # BasicSR's GAN models have such numbers
    found = networks_of(model)
    assert list(found) == ['net_g', 'net_d', 'net_g_ema']
    assert all(type(network) is Network for network in found.values())


def test_what_is_frozen_is_put_back() -> None:
    source = {'net_g': Network(), 'net_d': Network(), 'net_g_ema': Network()}
    source['net_g'].spynet.requires_grad_(False)
    source['net_g_ema'].requires_grad_(False)
    frozen = frozen_parameters(source)
    assert frozen == {'net_g': ['spynet.weight', 'spynet.bias'], 'net_d': []}
    target = {'net_g': Network()}
    target['net_g'].fusion.requires_grad_(False)  # as a network may be built
    freeze(target, frozen)
    assert frozen_parameters(target)['net_g'] == frozen['net_g']


@pytest.mark.parametrize(
    ('train', 'iteration', 'frozen'),
    [
        ({}, 3, []),
        ({'fix_flow': None}, 3, []),
        ({'fix_flow': 5}, 3, ['spynet.weight', 'spynet.bias', 'edvr.weight']),
        ({'fix_flow': 5}, 4, ['spynet.weight', 'spynet.bias', 'edvr.weight']),  # freed as iteration 5 begins
        ({'fix_flow': 5}, 5, []),
        ({'tsa_iter': 5}, 4, [name for name in ALL if name != 'fusion.weight']),
        ({'tsa_iter': 5}, 6, []),
    ],
)
def test_phases_of_a_checkpoint_that_does_not_say(train: dict[str, int], iteration: int, frozen: list[str]) -> None:
    assert frozen_by_options(Network(), train, iteration) == frozen


def test_weights_and_buffers_are_loaded_or_nothing_is() -> None:
    source, target = Network(), Network()
    source.norm.running_mean.fill_(3.0)
    assert load_weights(target, source.state_dict())
    assert all(torch.equal(value, target.state_dict()[key]) for key, value in source.state_dict().items())
    for changed in ({'norm.running_mean': torch.zeros(3)}, {'more': torch.zeros(2)}):
        before = {key: value.clone() for key, value in target.state_dict().items()}
        assert not load_weights(target, {**Network().state_dict(), **changed})
        assert all(torch.equal(value, target.state_dict()[key]) for key, value in before.items())

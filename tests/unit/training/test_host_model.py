"""Which networks of a model are trained, whatever their attributes are called."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from mg_basicsr.training.host_model import moving_averages, networks_of, trained_networks


def model(trained: Any, **attributes: Any) -> Any:
    """A model with these attributes, whose optimiser updates the modules in `trained`."""
    parameters = [parameter for network in trained for parameter in network.parameters()]
    return SimpleNamespace(**attributes, optimizers=[torch.optim.SGD(parameters, 0.1)])


def net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))


@pytest.mark.parametrize('name', ['net_g', 'generator', 'model', '_network'])
@pytest.mark.parametrize('wrap', [lambda network: network, nn.DataParallel])
def test_any_attribute_name_and_wrapper(name: str, wrap: Any) -> None:
    network, average = net(), net()
    one = model([network], cri_pix=nn.L1Loss(), **{name: wrap(network), f'{name}_ema': average})
    one.net_d_iters = 1  # BasicSR's GAN models have such numbers
    assert trained_networks(one) == {name: network}
    assert [(each.attribute, each.of, each.network) for each in moving_averages(one)] == [
        (f'{name}_ema', name, average)
    ]
    assert networks_of(one) == {name: network, f'{name}_ema': average}


def test_members_of_lists_and_dictionaries() -> None:
    first, second, third = net(), nn.Linear(2, 2), nn.Linear(3, 3)
    one = model([first, second, third], nets=[first, None], parts={'head': second, 'size': 3}, alias=first, other=third)
    assert trained_networks(one) == {'nets.0': first, 'parts.head': second, 'other': third}


def test_networks_that_no_optimiser_updates_are_not_trained() -> None:
    network, teacher = net(), nn.Linear(2, 2)
    one = model([network], net_g=network, teacher=teacher, cri_perceptual=nn.Sequential(nn.Conv2d(3, 8, 3)))
    assert list(trained_networks(one)) == ['net_g'] and moving_averages(one) == []


def test_frozen_parameters_do_not_hide_a_network() -> None:
    network = net().requires_grad_(False)
    assert list(trained_networks(model([network], net_g=network))) == ['net_g']


def test_an_average_follows_the_network_of_its_name() -> None:
    first, second = net(), net()
    one = model([first, second], net_g=first, net_g2=second, net_g2_ema=copy.deepcopy(second))
    assert [(each.attribute, each.of) for each in moving_averages(one)] == [('net_g2_ema', 'net_g2')]

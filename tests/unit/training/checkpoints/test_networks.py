"""What is put back into networks, and what stays frozen."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from mg_basicsr.training.checkpoints.networks import (
    freeze,
    frozen_by_options,
    frozen_by_own_rules,
    frozen_parameters,
    frozen_when_resumed,
    load_weights,
    targets,
)


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.spynet = nn.Linear(2, 2)
        self.edvr = nn.Linear(2, 2, bias=False)
        self.fusion = nn.Linear(2, 2, bias=False)
        self.norm = nn.BatchNorm1d(2)


ALL = [name for name, _ in Network().named_parameters()]


def model(**networks: nn.Module) -> Any:
    """A model whose optimisers update its networks, other than moving averages."""
    trained = [network for name, network in networks.items() if not name.endswith('_ema')]
    return SimpleNamespace(**networks, optimizers=[torch.optim.SGD(network.parameters(), 0.1) for network in trained])


def test_what_is_frozen_is_put_back() -> None:
    source = model(net_g=Network(), net_d=Network(), net_g_ema=Network())
    source.net_g.spynet.requires_grad_(False)
    source.net_g_ema.requires_grad_(False)
    frozen = frozen_parameters(source)
    assert frozen == {'net_g': ['spynet.weight', 'spynet.bias'], 'net_d': []}
    target = model(net_g=Network())
    target.net_g.fusion.requires_grad_(False)  # as a network may be built
    freeze({'net_g': target.net_g}, frozen)
    assert frozen_parameters(target)['net_g'] == frozen['net_g']


def test_files_belong_to_a_network_by_name_or_by_weights() -> None:
    saved = {'params': Network().state_dict(), 'params_ema': Network().state_dict()}
    one = model(net_g=Network(), net_g_ema=Network(), net_d=nn.Linear(2, 2))
    assert targets(one, 'net_g', saved) == {'params': ('net_g', one.net_g), 'params_ema': ('net_g_ema', one.net_g_ema)}
    assert targets(one, 'net_x', {}) == {}
    other = model(generator=Network(), slow_generator_ema=Network(), critic=nn.Linear(2, 2))
    found = targets(other, 'net_g', saved)
    assert {key: name for key, (name, _) in found.items()} == {
        'params': 'generator',
        'params_ema': 'slow_generator_ema',
    }
    twins = model(first=Network(), second=Network())
    assert targets(twins, 'net_g', saved) == {}  # it cannot be known which


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
        ({'fix_flow': -1}, 6, ['spynet.weight', 'spynet.bias', 'edvr.weight']),  # BasicSR never frees it
        ({'fix_flow': 1}, 6, ['spynet.weight', 'spynet.bias', 'edvr.weight']),  # nor then
        ({'fix_flow': 0}, 6, []),
    ],
)
def test_phases_of_a_checkpoint_that_does_not_say(train: dict[str, int], iteration: int, frozen: list[str]) -> None:
    assert frozen_by_options(Network(), train, iteration) == frozen


class Recurrent(SimpleNamespace):
    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.fix_flow_iter = self.opt['train'].get('fix_flow')


class Windowed(SimpleNamespace):
    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.train_tsa_iter = self.opt['train'].get('tsa_iter')


FLOW = ['spynet.weight', 'spynet.bias', 'edvr.weight']
NOT_FUSION = [name for name in ALL if name != 'fusion.weight']


@pytest.mark.parametrize(
    ('kind', 'train', 'recorded', 'built', 'frozen'),
    [
        (Recurrent, {'fix_flow': 9}, FLOW, [], FLOW),  # the options are those of the checkpoint
        (Recurrent, {'fix_flow': 5}, [], [], []),
        (Recurrent, {}, FLOW, [], []),  # removed
        (Recurrent, {'fix_flow': 0}, FLOW, [], []),
        (Recurrent, {'fix_flow': 5}, FLOW, [], []),  # lowered: its end has passed
        (Recurrent, {'fix_flow': 9}, [], [], FLOW),  # raised
        (Windowed, {}, NOT_FUSION, [], []),
        (Windowed, {'tsa_iter': 5}, NOT_FUSION, [], []),
        (Windowed, {'tsa_iter': 9}, [], [], NOT_FUSION),
        (Windowed, {'fix_flow': 9}, [], [], []),  # an option that this class does not read
        (Recurrent, {'fix_flow': 9}, [*FLOW, 'norm.bias'], ['norm.bias'], [*FLOW, 'norm.bias']),  # built so
        (Recurrent, {'fix_flow': 5}, [*FLOW, 'norm.bias'], ['norm.bias'], []),  # BasicSR frees all there is
        (Recurrent, {}, ['norm.bias'], [], ['norm.bias']),  # by rules that only the repository knows
        (SimpleNamespace, {'my_phase': 9}, FLOW, [], FLOW),
    ],
)
def test_frozen_when_resumed_follows_options_and_iteration(
    kind: Any, train: dict[str, int], recorded: list[str], built: list[str], frozen: list[str]
) -> None:
    net = Network()
    for name, parameter in net.named_parameters():
        parameter.requires_grad_(name not in built)
    resumed = kind(net_g=net, opt={'train': train}, optimizers=[torch.optim.SGD(net.parameters(), 0.1)])
    found = frozen_when_resumed(resumed, 6, {'net_g': recorded, 'net_other': ['x']})
    assert {label: set(names) for label, names in found.items()} == {'net_g': set(frozen)}


@pytest.mark.parametrize(
    ('kind', 'recorded', 'built', 'count'),
    [
        (Recurrent, FLOW, [], 0),  # by an option that is known
        (Windowed, FLOW, [], 0),  # its phase freezes all but `fusion`
        (SimpleNamespace, FLOW, [], 3),
        (SimpleNamespace, FLOW, FLOW, 0),  # built so
        (Recurrent, [*FLOW, 'norm.bias'], [], 1),
        (Recurrent, [], [], 0),
    ],
)
def test_parameters_that_a_rule_of_the_repository_has_frozen(
    kind: Any, recorded: list[str], built: list[str], count: int
) -> None:
    net = Network()
    for name, parameter in net.named_parameters():
        parameter.requires_grad_(name not in built)
    resumed = kind(net_g=net, opt={'train': {'my_phase': 9}}, optimizers=[torch.optim.SGD(net.parameters(), 0.1)])
    assert frozen_by_own_rules(resumed, {'net_g': recorded}) == ({'net_g': count} if count else {})


def test_weights_and_buffers_are_loaded_or_nothing_is() -> None:
    source, target = Network(), Network()
    source.norm.running_mean.fill_(3.0)
    assert load_weights(target, source.state_dict())
    assert all(torch.equal(value, target.state_dict()[key]) for key, value in source.state_dict().items())
    for changed in ({'norm.running_mean': torch.zeros(3)}, {'more': torch.zeros(2)}):
        before = {key: value.clone() for key, value in target.state_dict().items()}
        assert not load_weights(target, {**Network().state_dict(), **changed})
        assert all(torch.equal(value, target.state_dict()[key]) for key, value in before.items())

"""A model's networks: what BasicSR's own resume leaves as it was built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

EMA = '_ema'  # ending of the attribute that holds a network's moving average

# Which parameters stay frozen before a phase ends, for checkpoints that do not say so themselves: option of `train`,
# part of a parameter's name, and whether those with or without it are frozen (VideoRecurrentModel, EDVRModel).
PHASES = (('fix_flow', ('spynet', 'edvr'), True), ('tsa_iter', ('fusion',), False))


def networks_of(model: Any) -> dict[str, nn.Module]:
    """A BasicSR model's networks by attribute (`net_g`, `net_g_ema`, `net_d`), without DDP around them."""
    return {
        name: value.module if isinstance(value, (DataParallel, DistributedDataParallel)) else value
        for name, value in vars(model).items()
        if name.startswith('net_') and isinstance(value, nn.Module)
    }


def frozen_parameters(networks: Mapping[str, nn.Module]) -> dict[str, list[str]]:
    """The names of the parameters that take no gradient, by network; averages are left out."""
    return {
        label: [name for name, parameter in network.named_parameters() if not parameter.requires_grad]
        for label, network in networks.items()
        if not label.endswith(EMA)
    }


def freeze(networks: Mapping[str, nn.Module], frozen: Mapping[str, list[str]]) -> None:
    """Makes parameters take a gradient, or none, as they did when `frozen_parameters` looked."""
    for label, names in frozen.items():
        if label in networks:
            for name, parameter in networks[label].named_parameters():
                parameter.requires_grad_(name not in names)


def frozen_by_options(network: nn.Module, train: Mapping[str, Any], iteration: int) -> list[str]:
    """The parameters that BasicSR's own phases keep frozen after an iteration: it only freezes in the first."""
    return [
        name
        for option, parts, with_them in PHASES
        if iteration < (train.get(option) or 0)
        for name, _ in network.named_parameters()
        if any(part in name for part in parts) is with_them
    ]


def load_weights(network: nn.Module, weights: Mapping[str, Any]) -> bool:
    """Puts saved weights and buffers into a network, if they are those of this network.

    Returns:
        False, with nothing changed, where a name or shape differs.
    """
    own = network.state_dict()
    fits = own.keys() == weights.keys() and all(own[key].shape == weights[key].shape for key in own)
    if fits:
        network.load_state_dict(dict(weights))
    return fits

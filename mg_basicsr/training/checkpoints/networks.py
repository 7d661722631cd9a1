"""Networks in checkpoints: frozen parameters, and weights that BasicSR's own resume does not load."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from mg_basicsr.training.host_model import HostModel, moving_averages, trained_networks

# Which parameters stay frozen before a phase ends, for checkpoints that do not say so themselves: option of `train`,
# part of a parameter's name, and whether those with or without it are frozen (VideoRecurrentModel, EDVRModel).
PHASES = (('fix_flow', ('spynet', 'edvr'), True), ('tsa_iter', ('fusion',), False))


def frozen_parameters(model: HostModel) -> dict[str, list[str]]:
    """Return the names of the parameters that take no gradient, by trained network."""
    return {
        label: [name for name, parameter in network.named_parameters() if not parameter.requires_grad]
        for label, network in trained_networks(model).items()
    }


def freeze(networks: Mapping[str, nn.Module], frozen: Mapping[str, list[str]]) -> None:
    """Freeze the parameters that `frozen_parameters` returned, and unfreeze all others of these networks.

    Args:
        networks: Networks by attribute.
        frozen: Names of frozen parameters, by attribute; attributes that are not in `networks` are ignored.
    """
    for label, names in frozen.items():
        if label in networks:
            for name, parameter in networks[label].named_parameters():
                parameter.requires_grad_(name not in names)


def frozen_by_options(network: nn.Module, train: Mapping[str, Any], iteration: int) -> list[str]:
    """Return the parameters that BasicSR's own phases keep frozen after an iteration: it freezes only in the first.

    Args:
        network: A trained network; a phase has no effect on one without its parts.
        train: Section `train` of the options.
        iteration: Iterations trained, >= 0.
    """
    frozen: list[str] = []
    for option, parts, with_them in PHASES:
        matching = {name: any(part in name for part in parts) for name, _ in network.named_parameters()}
        if iteration < (train.get(option) or 0) and any(matching.values()):
            frozen += [name for name, matches in matching.items() if matches is with_them]
    return frozen


def load_weights(network: nn.Module, weights: Mapping[str, Any]) -> bool:
    """Load saved weights and buffers into a network, if they are those of this network.

    Args:
        network: The network.
        weights: Its state dictionary as saved.

    Returns:
        False, with nothing changed, where a name or shape differs.
    """
    if fits(network, weights):
        network.load_state_dict(dict(weights))
        return True
    return False


def fits(network: nn.Module, weights: Mapping[str, Any]) -> bool:
    """Return whether saved weights have the names and shapes of a network's.

    Args:
        network: The network.
        weights: State dictionary as saved.
    """
    own = network.state_dict()
    return own.keys() == weights.keys() and all(own[key].shape == weights[key].shape for key in own)


def targets(model: HostModel, label: str, saved: Mapping[str, Any]) -> dict[str, tuple[str, nn.Module]]:
    """Return where the weights of a network's file belong: key in the file -> attribute and network.

    A file is called `label_iteration.pth`. The label is the attribute of the network. If a repository saves it under
    another name, the file belongs to the only trained network with its names and shapes.

    Args:
        model: The model.
        label: Label of the file (`net_g`).
        saved: Content of the file: state dictionaries under 'params', and 'params_ema' for the moving average.
    """
    trained = trained_networks(model)
    if label not in trained and 'params' in saved:
        fitting = [name for name, network in trained.items() if fits(network, saved['params'])]
        label = fitting[0] if len(fitting) == 1 else label
    if label not in trained:
        return {}
    averages = [(name, network) for name, of, network in moving_averages(model) if of == label]
    found = {'params': (label, trained[label]), **({'params_ema': averages[0]} if averages else {})}
    return {key: target for key, target in found.items() if key in saved}

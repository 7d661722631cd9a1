"""Networks in checkpoints: which parameters are frozen, and weights that BasicSR's own resume does not load."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from torch import nn

from mg_basicsr.training.host_model import HostModel, moving_averages, trained_networks

# Which parameters stay frozen before a phase ends: option of `train`, part of a parameter's name, and whether those
# with or without it are frozen (VideoRecurrentModel, EDVRModel).
PHASES = (('fix_flow', ('spynet', 'edvr'), True), ('tsa_iter', ('fusion',), False))


def frozen_parameters(model: HostModel) -> dict[str, list[str]]:
    """Return the names of the parameters that take no gradient, by trained network."""
    return {
        label: [name for name, parameter in network.named_parameters() if not parameter.requires_grad]
        for label, network in trained_networks(model).items()
    }


def freeze(networks: Mapping[str, nn.Module], frozen: Mapping[str, list[str]]) -> None:
    """Let parameters take a gradient, or none, as they did when `frozen_parameters` looked.

    Args:
        networks: By attribute.
        frozen: Names of parameters that take none, by the same attributes; others are left out.
    """
    for label, names in frozen.items():
        if label in networks:
            for name, parameter in networks[label].named_parameters():
                parameter.requires_grad_(name not in names)


def frozen_by_options(network: nn.Module, train: Mapping[str, Any], iteration: int) -> list[str]:
    """Return the parameters that BasicSR's own phases keep frozen after an iteration.

    BasicSR freezes in the first iteration, and frees where the iteration equals the option: never, if that is negative
    or 1.

    Args:
        network: A trained network; one without the parts that a phase is about is not concerned.
        train: The options' section `train`.
        iteration: Iterations trained, >= 1.
    """
    frozen: list[str] = []
    for option in _phases(network):
        end = train.get(option)
        if end and (end < 2 or iteration < end):
            frozen += _phases(network)[option]
    return frozen


def frozen_when_resumed(model: HostModel, iteration: int, recorded: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Return the parameters that are frozen after an iteration under the options of the model.

    A phase whose end the options have moved to before this iteration would never be ended by the host. So BasicSR's
    phases are computed; what else the checkpoint records as frozen follows rules that are not known here, and stays.

    Args:
        model: The model, built, as yet without what a checkpoint says about frozen parameters.
        iteration: Iterations trained, >= 1.
        recorded: What was frozen when the checkpoint was saved, by trained network.

    Returns:
        Names of parameters in the networks' order, by trained network that is in `recorded`.
    """
    train = model.opt['train']
    found: dict[str, list[str]] = {}
    for label, network in trained_networks(model).items():
        if label not in recorded:
            continue
        phases = {option: names for option, names in _phases(network).items() if reads_option(model, option)}
        built = {name for name, parameter in network.named_parameters() if not parameter.requires_grad}
        of_phases = {name for names in phases.values() for name in names}
        other = set(recorded[label]) - of_phases
        active = {option: train[option] for option in phases if train.get(option)}
        frozen = set(frozen_by_options(network, active, iteration))
        if active and not frozen:
            other -= built  # the host frees all parameters
        elif not active:
            frozen = built & of_phases
        found[label] = [name for name, _ in network.named_parameters() if name in frozen | other]
    return found


def frozen_by_own_rules(model: HostModel, recorded: Mapping[str, list[str]]) -> dict[str, int]:
    """Return how many parameters a checkpoint has frozen by rules of the repository's own, which are not known here.

    Args:
        model: The model, built, as yet without what a checkpoint says about frozen parameters.
        recorded: What was frozen when the checkpoint was saved, by trained network.

    Returns:
        Numbers by trained network that has some.
    """
    found: dict[str, int] = {}
    for label, network in trained_networks(model).items():
        phases = {option: names for option, names in _phases(network).items() if reads_option(model, option)}
        known = {name for names in phases.values() for name in names}
        known |= {name for name, parameter in network.named_parameters() if not parameter.requires_grad}
        found[label] = len(set(recorded.get(label, ())) - known)
    return {label: count for label, count in found.items() if count}


def reads_option(model: HostModel, option: str) -> bool:
    """Return whether a model's class, or a base class, names an option of `train` in its source.

    Without the source of the class, an option that the file has is taken to be read.

    Args:
        model: The model.
        option: Name of an option of the section `train`.
    """
    sources = []
    for base in type(model).__mro__[:-1]:
        try:
            sources.append(inspect.getsource(base))
        except (OSError, TypeError):
            if base is type(model):
                return option in model.opt['train']
    return any(f"'{option}'" in source or f'"{option}"' in source for source in sources)


def _phases(network: nn.Module) -> dict[str, list[str]]:
    """Return the parameters that each of BasicSR's phases freezes, by option; phases for other networks left out."""
    found: dict[str, list[str]] = {}
    for option, parts, with_them in PHASES:
        matching = {name: any(part in name for part in parts) for name, _ in network.named_parameters()}
        if any(matching.values()):
            found[option] = [name for name, matches in matching.items() if matches is with_them]
    return found


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
        weights: A state dictionary.
    """
    own = network.state_dict()
    return own.keys() == weights.keys() and all(own[key].shape == weights[key].shape for key in own)


def targets(model: HostModel, label: str, saved: Mapping[str, Any]) -> dict[str, tuple[str, nn.Module]]:
    """Return where the weights of a network's file belong: key in the file -> attribute and network.

    A file is called `label_iteration.pth`. The label is the attribute of the network or, where a repository saves it
    under another name, the file belongs to the only trained network that its weights fit.

    Args:
        model: The model.
        label: Label of the file (`net_g`).
        saved: What is in it: state dictionaries under 'params', and 'params_ema' for the moving average.
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

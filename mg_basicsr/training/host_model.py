"""Protocol of a BasicSR model as far as this package uses it, and the one search for its trained networks."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

import torch
from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from mg_basicsr.training.loss_log import LossLog


class HostModel(Protocol):
    """Members of BasicSR's BaseModel and its subclasses that are used here.

    `optimize_parameters` has other arguments in each repository, so nothing is assumed about them. `model_ema`,
    `best_metric_results` and networks are looked up by `getattr` and `vars`, since not every model has them.

    Attributes:
        opt: Options of the run.
        device: Device of the networks.
        optimizers: Optimisers, all of which step in each iteration.
        schedulers: Learning-rate schedulers of BasicSR, one for each optimiser.
        log_dict: Losses of the last step, by name.
    """

    opt: dict[str, Any]
    device: torch.device
    optimizers: list[torch.optim.Optimizer]
    schedulers: list[Any]
    log_dict: dict[str, Any]

    def feed_data(self, data: Any) -> None:
        """Take a mini-batch."""

    @property
    def optimize_parameters(self) -> Any:
        """Make a training step."""

    def save(self, epoch: int, current_iter: int) -> None:
        """Write a checkpoint.

        Args:
            epoch: Epoch, 0-based; BasicSR only stores it.
            current_iter: Iterations trained; -1 for the end of training.
        """


def feeding_methods(model: HostModel) -> dict[str, Callable[..., Any]]:
    """Return the methods that take a mini-batch, by name: `feed_data`, and others of that kind (`feed_train_data`)."""
    found = {name: getattr(model, name, None) for name in dir(model) if name.startswith('feed_')}
    return {name: method for name, method in found.items() if inspect.isroutine(method)}


def feed_for_training(model: HostModel) -> Callable[..., Any]:
    """Return the method that the train loop hands a mini-batch to; `feed_data` may be for validation alone."""
    feed: Callable[..., Any] = getattr(model, 'feed_train_data', model.feed_data)
    return feed


def trained_networks(model: HostModel) -> dict[str, nn.Module]:
    """Return the networks that an optimiser updates, by attribute, without wrappers for several devices.

    The attribute may have any name; members of a list or dictionary are called `attribute.0`, `attribute.key`.
    Moving averages and the networks of losses are left out, since no optimiser updates them.
    """
    updated = {id(parameter) for parameter in _optimised(model)}
    return {
        name: network
        for name, network in named_modules(model)
        if any(id(parameter) in updated for parameter in network.parameters())
    }


class Average(NamedTuple):
    """Moving average of a trained network.

    Attributes:
        attribute: Attribute of the model that holds the average.
        of: Attribute of the trained network that it follows.
        network: The average itself.
    """

    attribute: str
    of: str
    network: nn.Module


def moving_averages(model: HostModel) -> list[Average]:
    """Return the copies of trained networks that no optimiser updates.

    A copy has the class of its original and parameters of the same names and shapes. Of several originals that fit, the
    one is taken whose name the copy's name begins with (`net_g_ema`), the longest of these, else the first.
    """
    trained = trained_networks(model)
    found: list[Average] = []
    for name, network in named_modules(model):
        originals = [] if name in trained else [other for other in trained if _is_copy(network, trained[other])]
        if originals:
            named_after = [other for other in originals if name.startswith(other)]
            found.append(Average(name, max(named_after, key=len, default=originals[0]), network))
    return found


def networks_of(model: HostModel) -> dict[str, nn.Module]:
    """Return the trained networks and their moving averages, by attribute."""
    return trained_networks(model) | {average.attribute: average.network for average in moving_averages(model)}


def held_modules(model: HostModel) -> list[nn.Module]:
    """Return every network and loss that a model holds, without wrappers: moving averages and fixed networks too."""
    return [module for _, module in named_modules(model)]


def wrapped_networks(model: HostModel) -> list[DistributedDataParallel]:
    """Return the wrappers of the networks that exchange gradients between ranks."""
    return [value for _, value in _attributes(model) if isinstance(value, DistributedDataParallel)]


def _optimised(model: HostModel) -> Iterator[torch.Tensor]:
    for optimizer in model.optimizers:
        for group in optimizer.param_groups:
            yield from group['params']


def named_modules(model: HostModel) -> Iterator[tuple[str, nn.Module]]:
    """Yield every module that the model holds, once, under its first name, without wrappers."""
    seen: set[int] = set()
    for name, value in _attributes(model):
        network = value.module if isinstance(value, (DataParallel, DistributedDataParallel)) else value
        if id(network) not in seen:
            seen.add(id(network))
            yield name, network


def _attributes(model: HostModel) -> Iterator[tuple[str, nn.Module]]:
    for name, value in list(vars(model).items()):
        if isinstance(value, nn.Module):
            yield name, value
        elif isinstance(value, (list, tuple, Mapping)) and not isinstance(value, LossLog):  # has none, and is not read
            items = value.items() if isinstance(value, Mapping) else enumerate(value)
            yield from ((f'{name}.{key}', item) for key, item in items if isinstance(item, nn.Module))


def _is_copy(network: nn.Module, original: nn.Module) -> bool:
    if type(network) is not type(original):
        return False
    shapes = [{name: value.shape for name, value in each.named_parameters()} for each in (network, original)]
    return shapes[0] == shapes[1]

"""Statistics that a training step leaves in networks, losses and the model, and which a skipped step takes back."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from types import FunctionType, MethodType
from typing import Any

import numpy as np
import torch
from torch import nn

_ATOMS = (type(None), str, bytes, torch.device, torch.dtype)
_CONTAINERS = (dict, list, deque)
_OF_MODULES = frozenset(vars(nn.Module()))  # attributes that every module has
_OF_MODELS = ('opt', 'log_dict', 'optimizers', 'schedulers', 'best_metric_results')  # no statistics of a step
_MOST_DEPTH = 3  # of containers in containers
_MOST_NUMBERS = 4096  # of a tensor that the model itself holds: a larger one is a batch or a result

Holder = Any  # a dictionary of attributes, or a container
Kept = list[tuple[Any, Any]]


class Statistics:
    """State that passes leave in networks and losses beside their parameters: tensors, arrays, numbers.

    As buffers, as attributes of the modules and of objects that replace their methods (sub-batch norm's forward), and
    in lists and dictionaries there. Large buffers of integers are tables that no pass changes. Of the model itself,
    which may average its losses, numbers and small tensors.

    Args:
        modules: Networks and losses, their parts included.
        model: Attributes of the model.
    """

    def __init__(self, modules: Iterable[nn.Module], model: dict[str, Any] | None = None) -> None:
        self._model = {} if model is None else model
        self._holders: list[dict[str, Any]] = []
        for module in {id(part): part for root in modules for part in root.modules()}.values():
            self._holders += [module._buffers, vars(module)]
            for name, value in vars(module).items():
                owner = value.__self__ if isinstance(value, MethodType) else value
                plain = name not in _OF_MODULES and not isinstance(owner, (nn.Module, type, FunctionType, *_ATOMS))
                if plain and hasattr(owner, '__dict__') and not isinstance(owner, torch.Tensor):
                    self._holders.append(vars(owner))

    def kept(self) -> Kept:
        """Return copies, for `put_back`: pairs of an object and its content."""
        found: Kept = []
        for holder in self._holders:
            own = {name: value for name, value in holder.items() if name not in _OF_MODULES}
            _keep(holder, own, found)
        model = {name: value for name, value in self._model.items() if name not in _OF_MODELS}
        small = {name: value for name, value in model.items() if _numbers_of(value) <= _MOST_NUMBERS}
        _keep(self._model, small, found)
        return found

    @staticmethod
    @torch.no_grad()
    def put_back(kept: Kept) -> None:
        """Restore what `kept` returned."""
        for holder, content in kept:
            if isinstance(holder, torch.Tensor):
                holder.detach().copy_(content)
            elif isinstance(holder, np.ndarray):
                np.copyto(holder, content)
            elif isinstance(holder, dict):
                for name, value in content.items():
                    if holder.get(name) is not value:
                        holder[name] = value
            else:
                holder.clear()
                holder.extend(content)


def _keep(holder: Holder, values: dict[str, Any], found: Kept, depth: int = 0) -> None:
    """Add a holder with those of its values that are statistics, and the content of each."""
    own = {name: value for name, value in values.items() if _is_statistic(value)}
    if own:
        found.append((holder, own))
    for value in own.values():
        _keep_content(value, found, depth)


def _keep_content(value: Any, found: Kept, depth: int) -> None:
    if isinstance(value, torch.Tensor):
        found.append((value, value.detach().clone()))
    elif isinstance(value, np.ndarray):
        found.append((value, value.copy()))
    elif isinstance(value, dict) and depth < _MOST_DEPTH:
        _keep(value, value, found, depth + 1)
    elif isinstance(value, (list, deque)) and depth < _MOST_DEPTH:
        found.append((value, list(value)))
        for item in value:
            if _is_statistic(item):
                _keep_content(item, found, depth + 1)


def _is_statistic(value: Any) -> bool:
    if isinstance(value, torch.Tensor):
        is_small = value.is_floating_point() or value.numel() == 1
        return is_small and value.grad_fn is None and not isinstance(value, nn.Parameter)
    if isinstance(value, np.ndarray):
        return value.dtype.kind in 'fc' or value.size == 1
    return isinstance(value, (int, float, np.number, *_CONTAINERS))


def _numbers_of(value: Any, depth: int = 0) -> int:
    """Return how many numbers a value has, those in containers too."""
    if isinstance(value, torch.Tensor):
        return value.numel()
    if isinstance(value, np.ndarray):
        return value.size
    if not isinstance(value, _CONTAINERS) or depth > _MOST_DEPTH:
        return 1
    return sum(_numbers_of(item, depth + 1) for item in (value.values() if isinstance(value, dict) else value))

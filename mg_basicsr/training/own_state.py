"""Extension for the state of networks and losses beside their parameters, which BasicSR does not save."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import nn

from mg_basicsr.schedule.plan import Step
from mg_basicsr.training.extension import Extension
from mg_basicsr.training.host_model import HostModel, named_modules, networks_of
from mg_basicsr.training.seeding import INCOMPLETE, OwnGenerators

_OF_MODULES = frozenset(vars(nn.Module()))  # attributes that every module has
_OF_MODELS = ('opt', 'log_dict', 'optimizers', 'schedulers', 'best_metric_results', 'is_train', 'save_dir')
_BUFFERS = '(buffers)'  # in the place of a module's buffer
_MOST_NUMBERS = 2**20  # of a tensor: a larger one is a table or a result
_MOST_ENTRIES = 10_000  # of a list or a dictionary
_MOST_DEPTH = 4
_LOOKS = 3  # iterations after which a generator that was made in the first step has been found

Place = tuple[dict[str, Any], str]


class OwnState(Extension):
    """Extension that makes the state of networks, losses and the model itself resumable.

    Generators that they hold are seeded by the iteration, as the global ones are; on all ranks alike, since some are
    there to draw the same everywhere. Numbers, small tensors, and lists and dictionaries of these that steps have
    changed go into the checkpoint: counters, averages, buffers of losses.

    Args:
        seed_of: From an iteration, 0-based, to a 64-bit number.
        report: Receives a line about a generator that was made in a step.
    """

    name = 'own_state'

    def __init__(self, seed_of: Callable[[int], int], report: Callable[[str], None] = lambda line: None) -> None:
        self._seed_of, self._report = seed_of, report
        self._looks = _LOOKS

    def attach(self, model: HostModel) -> list[str]:
        """Keep the model; see `Extension.attach`."""
        self._model = model
        self._generators: OwnGenerators | None = None
        self._first: dict[str, Any] | None = None
        return []

    def _begin(self) -> None:
        """Record the values at the start: not before, since a model's constructor continues after `attach`."""
        if self._first is None:
            self._first = {name: _mark(value) for name, value, _ in self._values()}

    def before_step(self, step: Step) -> None:
        """Seed the model's own generators."""
        self._begin()
        if self._generators is None:
            self._generators = OwnGenerators(self._model)
            if not self._generators.complete:
                self._report(f'the model {INCOMPLETE}')
        elif self._looks:
            self._looks -= 1
            if self._generators.look_again(thoroughly=True):
                self._report(
                    'a generator of random numbers was made within a step: its first numbers do not follow from the '
                    'seed, and a resumed run does not repeat them'
                )
        self._generators.seed(self._seed_of(step.iteration))

    def state_dict(self) -> dict[str, Any]:
        """Return the values that have changed, by place; an empty dictionary for most models."""
        first = self._first
        if first is None:
            return {}
        return {
            name: _copied(value)
            for name, value, _ in self._values()
            if name not in first or first[name] != _mark(value)
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put the values of another run in their places; one that has no place any more is left out."""
        self._begin()
        places = {name: place for name, _, place in self._values()}
        for name, value in state.items():
            holder, attribute = places.get(name) or self._place(name)
            now = holder.get(attribute)
            if isinstance(now, torch.Tensor) and isinstance(value, torch.Tensor) and now.shape == value.shape:
                with torch.no_grad():
                    now.copy_(value)
            elif attribute and not name.endswith(f'{_BUFFERS}.{attribute}'):  # whose shapes are those of the network
                holder[attribute] = _restored(value, now, self._model.device)

    def _place(self, name: str) -> Place:
        """Return the holder of an attribute that is not there yet."""
        path, _, attribute = name.rpartition('.')
        holder = self._holders().get(path)
        return ({}, '') if holder is None else (holder, attribute)

    def _holders(self) -> dict[str, dict[str, Any]]:
        """Return the attributes of the model and of every module that it holds, by the module's name."""
        found = {'': vars(self._model)}
        known: set[int] = set()
        for attribute, root in named_modules(self._model):
            for name, module in root.named_modules():
                if id(module) not in known:
                    known.add(id(module))
                    path = f'{attribute}.{name}' if name else attribute
                    found[path], found[f'{path}.{_BUFFERS}'] = vars(module), module._buffers
        return found

    def _values(self) -> Iterator[tuple[str, Any, Place]]:
        """Yield name, value and place of whatever a checkpoint could take that no state_dict of a network has."""
        saved = {
            id(tensor)
            for network in networks_of(self._model).values()
            for tensor in network.state_dict(keep_vars=True).values()
        }
        for path, holder in self._holders().items():
            left_out = _OF_MODULES if path else _OF_MODELS
            for name, value in list(holder.items()):
                if name in left_out or id(value) in saved or not _is_plain(value):
                    continue
                if path or not _has_tensor(value):  # tensors of the model itself are its batch and results
                    yield f'{path}.{name}', value, (holder, name)


def _is_plain(value: Any, depth: int = 0) -> bool:
    """Whether a value consists of numbers, text and small tensors without a gradient."""
    if isinstance(value, torch.Tensor):
        small = value.numel() <= _MOST_NUMBERS
        return small and value.grad_fn is None and not value.requires_grad and value.layout == torch.strided
    if type(value) in (dict, list, tuple, deque):
        if len(value) > _MOST_ENTRIES or depth == _MOST_DEPTH:
            return False
        keys = all(type(key) in (str, int) for key in value) if isinstance(value, dict) else True
        return keys and all(_is_plain(item, depth + 1) for item in _items(value))
    return type(value) in (bool, int, float, str, type(None))


def _has_tensor(value: Any) -> bool:
    return isinstance(value, torch.Tensor) or (
        isinstance(value, (dict, list, tuple, deque)) and any(map(_has_tensor, _items(value)))
    )


def _items(value: Any) -> Any:
    return value.values() if isinstance(value, dict) else value


def _mark(value: Any) -> Any:
    """Return what differs once a value has changed: of a tensor the hash of its bytes."""
    if isinstance(value, torch.Tensor):
        content = value.detach().cpu().reshape(-1).view(torch.uint8)
        return value.shape, value.dtype, hash(content.numpy().tobytes())
    if isinstance(value, dict):
        return {key: _mark(item) for key, item in value.items()}
    return tuple(map(_mark, value)) if isinstance(value, (list, tuple, deque)) else value


def _copied(value: Any) -> Any:
    """Return a value as a checkpoint holds it: of tensors, numbers, text, lists and dictionaries."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().clone()
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return list(map(_copied, value)) if isinstance(value, (list, tuple, deque)) else value


def _restored(value: Any, now: Any, device: torch.device) -> Any:
    """Return a saved value with the type of the one that it replaces, on the device of the model."""
    if isinstance(value, torch.Tensor):
        return value.to(now.device if isinstance(now, torch.Tensor) else device)
    if isinstance(value, dict):
        return {key: _restored(item, None, device) for key, item in value.items()}
    if isinstance(value, list):
        items = [_restored(item, None, device) for item in value]
        return deque(items, now.maxlen) if isinstance(now, deque) else tuple(items) if isinstance(now, tuple) else items
    return value

"""Losses of a step by name, as BasicSR's `reduce_loss_dict` returns them, whose numbers are read when they are used."""

from __future__ import annotations

import functools
import math
import operator
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

Losses = Mapping[str, Any]


def deferred(reduce: Callable[..., Losses]) -> Callable[..., Losses]:
    """Return a function that does what `reduce` does, but reads what it reads by `item()` only when it is used.

    Args:
        reduce: Returns losses by name.
    """

    @functools.wraps(reduce)
    def call(*args: Any, **kwargs: Any) -> Losses:
        with _ItemsUnread():
            log = reduce(*args, **kwargs)
        return LossLog(log) if isinstance(log, Mapping) else log

    return call


class Unread:
    """Number that is yet to be read from the device, which its first use as a number does.

    Args:
        read: Returns it, and waits for the device.
    """

    def __init__(self, read: Callable[[], float]) -> None:
        self._read = read
        self._number: float | None = None

    def read(self) -> float:
        """Return the number."""
        if self._number is None:
            self._number = self._read()
        return self._number


def _of_number(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, *args: function(self.read(), *args)


def _reflected(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, other: function(other, self.read())


for _function in (float, int, bool, str, repr, hash, format, abs, round, math.trunc, math.floor, math.ceil):
    setattr(Unread, f'__{_function.__name__}__', _of_number(_function))
_BINARY = ('add', 'sub', 'mul', 'truediv', 'floordiv', 'mod', 'pow')
for _name in ('neg', 'pos', 'eq', 'ne', 'lt', 'le', 'gt', 'ge', *_BINARY):
    setattr(Unread, f'__{_name}__', _of_number(getattr(operator, _name)))
for _name in _BINARY:
    setattr(Unread, f'__r{_name}__', _reflected(getattr(operator, _name)))


class LossLog(OrderedDict[str, Any]):
    """Losses by name, of which those that are `Unread` are read when the dictionary is first used, whatever the use.

    >>> log = LossLog({'l_pix': Unread(lambda: 0.5)})
    >>> {**log}
    {'l_pix': 0.5}
    """

    def names(self) -> list[str]:
        """Return the names of the losses, and read none."""
        return list(OrderedDict.keys(self))

    def settle(self) -> None:
        """Read what has not been read."""
        unread = {name: value for name, value in OrderedDict.items(self) if isinstance(value, Unread)}
        for name, value in unread.items():
            OrderedDict.__setitem__(self, name, value.read())


def _settled(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(self: LossLog, *args: Any, **kwargs: Any) -> Any:
        self.settle()
        return method(self, *args, **kwargs)

    return call


# All of a dictionary's methods but two that only write. `__iter__` is among them, without which `dict(log)`
# and `{**log}` would not ask.
_ORDERED = {name for name in (*vars(dict), *vars(OrderedDict)) if callable(getattr(OrderedDict, name))}
_OWN = _ORDERED - {*dir(object), '__setitem__', 'update', '__class_getitem__', 'fromkeys'}
for _name in (*sorted(_OWN), '__eq__', '__ne__', '__repr__', '__reduce__'):
    setattr(LossLog, _name, _settled(getattr(OrderedDict, _name)))


class _ItemsUnread(TorchFunctionMode):
    """Mode in which `Tensor.item` returns an `Unread`."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not torch.Tensor.item:
            return func(*args, **(kwargs or {}))
        number = args[0].detach().reshape(()).clone()  # its maker may write to it
        kind = bool if number.dtype == torch.bool else float if number.is_floating_point() else int
        return Unread(functools.partial(kind, number))

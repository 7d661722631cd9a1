"""Shim for networks that copy ranges of numbers to the device in each forward pass, found by what their functions do.

Warping by optical flow makes its grid of such ranges, in main memory, at each call. The copy waits until the device has
done all that was queued before. Here, under a plan, a range is made and copied once per size and device.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from mg_basicsr.host.patches.hooks import active
from mg_basicsr.patching import Function, wrap

RANGES = ('arange', 'linspace')
MOST_KEPT = 256  # ranges: several times those of a plan's shapes


def keep_ranges(cls: type) -> None:
    """Keep the ranges that the functions of a network's module, and its methods, make at each call.

    2026-11. Can be removed when BasicSR's `flow_warp` makes its grid on the device.
    """
    own = [base for base in cls.__mro__ if base.__module__.partition('.')[0] not in ('torch', 'builtins')]
    for owner in (*own, *(sys.modules.get(base.__module__) for base in own)):
        for name, function in list(vars(owner).items()) if owner else ():
            if isinstance(function, FunctionType) and name != '__init__' and _uses_ranges(function):
                wrap(owner, name, _with_kept_ranges, 'ranges of numbers are copied to the device once')


def _uses_ranges(function: FunctionType) -> bool:
    code = inspect.unwrap(function).__code__
    return not set(RANGES).isdisjoint(code.co_names)


def _with_kept_ranges(original: Function) -> Function:
    def call(*args: Any, **kwargs: Any) -> Any:
        tensors = (value for value in (*args, *kwargs.values()) if isinstance(value, torch.Tensor))
        device = next((tensor.device for tensor in tensors), None)
        if active() is None or device is None or device.type == 'cpu' or torch.compiler.is_compiling():
            return original(*args, **kwargs)
        with _KeptRanges(device):
            return original(*args, **kwargs)

    return call


class _KeptRanges(TorchFunctionMode):
    """Mode in which ranges that would be made in main memory are kept on a device.

    Args:
        device: The device.
    """

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.device = device

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in (torch.arange, torch.linspace) and kwargs.keys() <= {'dtype', 'start', 'end', 'step', 'steps'}:
            values = (*args, *kwargs.values())
            if all(isinstance(value, (int, float, torch.dtype)) for value in values):
                kept = _range(func, args, tuple(kwargs.items()), self.device, torch.get_default_dtype())
                if not kept._version:  # nobody has written to it
                    return kept
        return func(*args, **kwargs)


@functools.lru_cache(maxsize=MOST_KEPT)
def _range(
    func: Callable[..., torch.Tensor], args: Any, kwargs: Any, device: torch.device, default: torch.dtype
) -> torch.Tensor:
    with torch.inference_mode(False):  # it may be used in training afterwards
        return func(*args, **dict(kwargs)).to(device)

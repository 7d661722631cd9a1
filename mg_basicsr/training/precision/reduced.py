"""Extension that trains networks in bfloat16 or float16, with the parts that need it in float32.

While a network is in training mode, its forward pass runs under torch's autocast: convolutions and matrix products in
the reduced type, from weights that stay in float32. Positions must not be rounded (bfloat16 has 8 significant bits: at
64 pixels the next position is half a pixel away), so these turn autocast off, and take and compute float32:

- optical flow: modules named after a flow network;
- deformable convolution with the layers that make its offsets and masks: modules whose forward calls one;
- warping: functions in the modules of the network's classes that sample a grid, such as BasicSR's `flow_warp`.
  Autocast alone would sample in float32, but at positions computed in the type of the features.

The network's result is float32 again, and with it every loss. In evaluation mode nothing changes.
"""

from __future__ import annotations

import functools
import inspect
import sys
import warnings
from collections.abc import Callable, Iterator
from types import FunctionType, MethodType
from typing import Any

import torch
from torch import nn

from mg_basicsr.errors import Problem, TrainingError
from mg_basicsr.patching import replace, wrap
from mg_basicsr.training.extension import Extension
from mg_basicsr.training.gradient_handling import gradient_handling
from mg_basicsr.training.host_model import HostModel, trained_networks

DTYPES = {'bfloat16': torch.bfloat16, 'float16': torch.float16}

# Found in the name of a module's class, or in its name within the network; compared without case and underscores.
FLOW_NETWORKS = ('spynet', 'flownet', 'pwcnet', 'raft', 'opticalflow', 'flowestimat')

# Parts of the names of the deformable convolutions of torchvision, BasicSR, mmcv and RVRT.
DEFORMABLE = ('deform_conv', 'deform_attn')
SAMPLING = (*DEFORMABLE, 'grid_sample')

Forward = Callable[..., Any]

EXACT = 'computed in float32 under reduced precision'


class ReducedPrecision(Extension):
    """Extension that trains the networks of a model in a reduced type.

    Args:
        precision: 'bfloat16' or 'float16'.
    """

    name = 'precision'

    def __init__(self, precision: str) -> None:
        self.precision = precision

    def attach(self, model: HostModel) -> list[str]:
        """Run the trained networks under autocast.

        Raises:
            TrainingError: the model handles gradients itself, trains no network, or is on a device without that type.
        """
        refuse_own_handling(model, self.precision)
        networks = trained_networks(model)
        if not networks:
            raise TrainingError(
                Problem(
                    'multigrid.precision',
                    f'{self.precision}, but no optimizer of {type(model).__name__} trains a network that it holds',
                    'allowed: float32 for this model',
                    'remove multigrid.precision',
                )
            )
        check_device(torch.device(model.device).type, self.precision)
        lines = []
        for name, network in networks.items():
            kept = ', '.join([*reduce_precision(network, DTYPES[self.precision]), 'losses'])
            lines.append(f'{name} trains in {self.precision}, with {kept} in float32')
        return lines


def refuse_own_handling(model: HostModel, precision: str) -> None:
    """Check that nothing happens between a model's backward pass and its optimiser's step.

    Args:
        model: The model.
        precision: Name of the reduced type, for the message.

    Raises:
        TrainingError: the step scales losses or clips gradients; the message names the model's class and the reason.
    """
    reason = gradient_handling(model)
    if reason:
        raise TrainingError(
            Problem(
                'multigrid.precision',
                f'{precision} cannot be used with model_type {type(model).__name__}: {reason}',
                'allowed: float32 for this model',
                'remove multigrid.precision',
            )
        )


def check_device(device: str, precision: str) -> None:
    """Check that torch's autocast supports a type on a kind of device.

    Args:
        device: 'cpu' or 'cuda'.
        precision: 'bfloat16' or 'float16'.

    Raises:
        TrainingError: the type is not supported there.
    """
    try:
        with warnings.catch_warnings():  # old versions of torch warn and train in float32
            warnings.simplefilter('error')
            torch.autocast(device, DTYPES[precision])
    except (RuntimeError, UserWarning) as error:
        raise TrainingError(
            Problem(
                'multigrid.precision',
                f'{precision} is not available on this {device} device: {error}',
                'allowed: float32, or what torch.autocast has there',
                f'use {"float16" if precision == "bfloat16" and device == "cuda" else "float32"}',
            )
        ) from None


def reduce_precision(network: nn.Module, dtype: torch.dtype) -> list[str]:
    """Run a network's forward passes in training mode in a reduced type. Its weights stay float32.

    Changes this network's own modules, and warping functions in the Python modules of their classes, which have the
    same result as before for networks in float32.

    Args:
        network: A network on its device; inside DistributedDataParallel, the inner module.
        dtype: torch.bfloat16 or torch.float16.

    Returns:
        Names of what stays in float32: modules within the network, then functions.
    """
    kept = [name for name, module in network.named_modules() if name and _is_exact(name, module)]
    # The outermost are enough: autocast is off for everything that they call.
    kept = [name for name in kept if not any(name.startswith(f'{other}.') for other in kept)]
    for name in kept:
        _around_forward(network.get_submodule(name), _in_float32)
    functions = {name for cls in _classes(network) for name in _fix_functions(cls)}
    _around_forward(network, functools.partial(_in_reduced_type, dtype))
    return kept + sorted(functions)


def converted(value: Any, convert: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """Return a value with every tensor in it converted.

    Args:
        value: A tensor, or lists, tuples (named ones too) and dictionaries of values; anything else is unchanged.
        convert: Conversion of one tensor.
    """
    if isinstance(value, torch.Tensor):
        return convert(value)
    if isinstance(value, dict):
        return type(value)((key, converted(item, convert)) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        items = [converted(item, convert) for item in value]
        return type(value)(*items) if hasattr(value, '_fields') else type(value)(items)
    return value


def to_float32(tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor of a reduced type as float32, and any other unchanged."""
    return tensor.float() if tensor.dtype in (torch.bfloat16, torch.float16) else tensor


def _around_forward(module: nn.Module, around: Callable[[nn.Module, Forward, Any, Any], Any]) -> None:
    """Replace the forward of one module by `around(module, forward, args, kwargs)`.

    By a bound method, which a copy of the module (a moving average, for example) binds to itself and its weights.
    """
    own = vars(module).get('forward')

    def forward(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        return around(self, own or MethodType(type(self).forward, self), args, kwargs)

    replace(module, 'forward', MethodType(forward, module), 'reduced precision')


def _in_reduced_type(dtype: torch.dtype, module: nn.Module, forward: Forward, args: Any, kwargs: Any) -> Any:
    if not module.training:
        return forward(*args, **kwargs)
    with torch.autocast(next(module.parameters()).device.type, dtype):
        result = forward(*args, **kwargs)
    return converted(result, to_float32)


def _in_float32(module: nn.Module | None, forward: Forward, args: Any, kwargs: Any) -> Any:
    args, kwargs = converted(args, to_float32), converted(kwargs, to_float32)
    first = next(_tensors([args, kwargs]), None)
    with torch.autocast('cpu' if first is None else first.device.type, enabled=False):
        return forward(*args, **kwargs)


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _tensors(item)


def _is_exact(name: str, module: nn.Module) -> bool:
    """Whether a module within a network estimates flow or aligns by deformable convolution."""
    names = f'{type(module).__name__} {name.rpartition(".")[2]}'.lower().replace('_', '')
    return any(part in names for part in FLOW_NETWORKS) or _calls(type(module).forward, DEFORMABLE)


def _calls(function: Any, parts: tuple[str, ...]) -> bool:
    code = getattr(inspect.unwrap(function), '__code__', None)
    return code is not None and any(part in name for name in code.co_names for part in parts)


def _classes(network: nn.Module) -> set[type]:
    found = {base for module in network.modules() for base in type(module).__mro__}
    return {cls for cls in found if not _is_torch(cls.__module__) and cls is not object}


def _is_torch(module: str) -> bool:
    return module.partition('.')[0] in ('torch', 'torchvision')


def _fix_functions(cls: type) -> Iterator[str]:
    """Let the functions that sample at positions, in the Python module of a network's class, compute in float32.

    They are replaced in each module that uses them, which looks them up at each call: modules import `flow_warp` by its
    name, so that replacing it in one place would not be enough.

    Yields:
        The functions' names.
    """
    file: Any = sys.modules.get(cls.__module__)
    known: dict[str, Any] = dict(vars(file)) if file else {}
    for name, function in known.items():
        if not isinstance(function, FunctionType) or not _calls(function, SAMPLING):
            continue
        yield name
        wrap(file, name, float32_function, EXACT)
        origin = sys.modules.get(function.__module__)
        if not _is_torch(function.__module__) and vars(origin or file).get(name) is function:
            replace(origin, name, vars(file)[name], EXACT)  # functions beside it call it there, such as a second warp


def float32_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that computes in float32, with its result in the type of its first floating-point tensor."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        result = _in_float32(None, function, args, kwargs)
        first = next((tensor for tensor in _tensors([args, kwargs]) if tensor.is_floating_point()), None)
        if first is None or to_float32(first) is first:
            return result
        return converted(result, lambda tensor: tensor.to(first.dtype) if tensor.is_floating_point() else tensor)

    return call

"""What can make a step faster without changing what it computes, beyond rounding: functions on networks and optimisers.

All of them work in place and keep the names of parameters and states, so that checkpoints stay what they are.
"""

from __future__ import annotations

import copy
import ctypes
import os
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from mg_basicsr.errors import Problem, TrainingError

# One compiled form per shape, twice for parameters that are frozen and freed, and as many as torch allows by itself.
_FORMS_PER_SHAPE, _FORMS = 2, 8
# mallopt(3) of glibc: the parameters' numbers, and the largest values that it takes.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_MOST_KEPT, _LARGEST_KEPT = 2**31 - 1, 32 * 2**20


def channels_last(network: nn.Module) -> None:
    """Keeps the weights of convolutions as (out, height, width, in) in memory; activations follow. Shapes stay.

    Before DistributedDataParallel wraps the network, whose buckets take over the order that they find.
    """
    network.to(memory_format=torch.channels_last)


def fuse(optimizer: torch.optim.Optimizer) -> None:
    """Lets an optimiser update all of its parameters in one kernel, by torch's own `fused` form.

    Raises:
        TrainingError: the optimiser has no fused form, or none on the device of its parameters.
    """
    parameter = optimizer.param_groups[0]['params'][0]
    try:
        type(optimizer)([torch.zeros_like(parameter, requires_grad=True)], lr=0.1, fused=True)  # type: ignore[call-arg]
    except (TypeError, RuntimeError) as error:
        name = type(optimizer).__name__
        raise TrainingError(
            Problem(
                'multigrid.fused_optimizer',
                f'true, but {name} has no fused form on {parameter.device.type}',
                f'allowed: what torch {torch.__version__} can fuse ({str(error).splitlines()[0]})',
                'set multigrid.fused_optimizer: false, or train.optim_g.type: Adam',
            )
        ) from None
    for group in optimizer.param_groups:
        group['fused'], group['foreach'] = True, False


def settle(optimizer: torch.optim.Optimizer, fused: bool) -> None:
    """Brings a state that was loaded into the form that this run works with, whatever form it was saved in.

    Loading overwrites `fused` by the saved run's; fused steps are counted on the device, and their moments have to lie
    in memory as their parameters do.

    Args:
        optimizer: The optimiser, its state loaded.
        fused: Whether `fuse` has been called; otherwise it goes on as it was constructed.
    """
    given = optimizer.defaults
    form = (True, False) if fused else (given.get('fused'), given.get('foreach'))
    for group in optimizer.param_groups:
        if 'fused' in given:
            group['fused'], group['foreach'] = form
        on_device = form[0] or group.get('capturable')
        for parameter in group['params']:
            state = optimizer.state.get(parameter, {})
            for name, value in state.items():
                if not torch.is_tensor(value):
                    continue
                if name == 'step' and 'fused' in given:
                    state[name] = value.to(parameter.device if on_device else 'cpu')
                elif value.shape == parameter.shape and value.stride() != parameter.stride():
                    state[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def allow_tf32(on: bool) -> None:
    """TensorFloat-32 (10 bits of mantissa) for float32 products and convolutions, on GPUs that have it.

    torch's own default is on for convolutions and off for matrix products. Without effect on a CPU.
    """
    torch.backends.cuda.matmul.allow_tf32 = on
    torch.backends.cudnn.allow_tf32 = on


def try_kernels(on: bool) -> None:
    """Has cuDNN try its kernels on each new shape and keep the fastest. Without effect on a CPU."""
    torch.backends.cudnn.benchmark = on


def keep_freed_memory() -> bool:
    """Lets glibc keep what a step on a CPU frees for the next step, instead of handing it back to the system.

    A step frees its activations and asks for as much again; by default most of it then comes as new pages, each of
    which the kernel has to clear and map: a tenth of a step of the demo's network. Allocations above 32 MiB still do.
    The process keeps its peak, and in pieces: to be called after the search for what fits into memory.

    Returns:
        Whether it was done: not with another allocator, nor where the environment has settings of its own.
    """
    if any(name.startswith('MALLOC_') for name in os.environ) or 'GLIBC_TUNABLES' in os.environ:
        return False
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    if mallopt is None:
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT) and mallopt(_TRIM_THRESHOLD, _MOST_KEPT))


def compile_parts(network: nn.Module, shapes: int) -> list[str]:
    """Compiles the parts of a network for training; evaluation stays as it is.

    A part is a direct child, or one in a list or dictionary of children. The network itself is not compiled as a whole:
    a recurrent one is a loop over frames, which would be unrolled anew for each clip length, while its parts see one
    frame at a time.

    Args:
        network: Without DistributedDataParallel around it.
        shapes: Distinct mini-batch shapes to come.

    Returns:
        The names of the parts.

    Raises:
        TrainingError: nothing can be compiled on this machine.
    """
    parts = dict(_parts(network))
    device = next(network.parameters()).device
    try:
        torch.compile(torch.neg)(torch.zeros(2, device=device))
    except Exception as error:  # a compiler that is missing shows in many ways
        last = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        raise TrainingError(
            Problem(
                'multigrid.compile',
                f'true, but torch.compile does not work here ({last[0].strip()})',
                'needed: a C++ compiler on a CPU; Triton and a C compiler on a GPU',
                'install one, or set multigrid.compile: false',
            )
        ) from None
    config: Any = torch._dynamo.config
    limit = 'recompile_limit' if hasattr(config, 'recompile_limit') else 'cache_size_limit'  # torch before 2.7
    setattr(config, limit, max(getattr(config, limit), _FORMS_PER_SHAPE * shapes + _FORMS))
    for part in parts.values():
        part.forward = CompiledForward(part)
    return list(parts)


def _parts(network: nn.Module, prefix: str = '') -> Iterator[tuple[str, nn.Module]]:
    for name, child in network.named_children():
        if isinstance(child, (nn.ModuleList, nn.ModuleDict)):
            yield from _parts(child, f'{prefix}{name}.')
        elif any(True for _ in child.parameters()):
            yield prefix + name, child


class CompiledForward:
    """A module's `forward`, compiled for each shape that it meets in training, and as it was in evaluation.

    Kept as an attribute of the module, beside its parameters, whose names therefore stay.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.plain: Callable[..., Any] = module.forward
        self.compiled: Callable[..., Any] = torch.compile(self.plain, dynamic=False)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        forward = self.compiled if self.module.training else self.plain
        return forward(*args, **kwargs)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """A copied module must run on its own parameters: it gets its plain forward back."""
        return copy.deepcopy(self.plain, memo)

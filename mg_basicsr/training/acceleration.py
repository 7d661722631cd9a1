"""Extensions that can make a step faster without changing its result, beyond rounding.

All of them work in place and keep the names of parameters and states, so that checkpoints do not depend on them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from mg_basicsr.errors import Problem, TrainingError
from mg_basicsr.patching import replace
from mg_basicsr.training.extension import Extension
from mg_basicsr.training.host_model import HostModel, networks_of, trained_networks

# One compiled form per shape, twice for parameters that are frozen and freed, and as many as torch allows by itself.
_FORMS_PER_SHAPE, _FORMS = 2, 8


class KernelChoice(Extension):
    """Extension that sets the precision of float32 products and how cuDNN chooses kernels. No effect on a CPU.

    Args:
        tf32: See `allow_tf32`; None keeps torch's setting.
        try_kernels: Whether cuDNN tries its kernels on each new shape and keeps the fastest; None keeps BasicSR's
            setting.
    """

    name = 'kernels'

    def __init__(self, tf32: bool | None, try_kernels: bool | None) -> None:
        self.tf32, self.try_kernels = tf32, try_kernels

    def attach(self, model: HostModel) -> list[str]:
        """Apply the settings to this process; see `Extension.attach`."""
        if self.tf32 is not None:
            allow_tf32(self.tf32)
        if self.try_kernels is not None:  # here, not earlier: BasicSR sets it before it builds the model
            torch.backends.cudnn.benchmark = self.try_kernels
        return []


class ChannelsLast(Extension):
    """Extension that stores weights of convolutions as (out, height, width, in); activations follow. Shapes stay."""

    name = 'channels_last'

    def arrange(self, network: nn.Module) -> None:
        """Change the memory format of a network's weights in place."""
        network.to(memory_format=torch.channels_last)

    def attach(self, model: HostModel) -> list[str]:
        """Arrange all networks of a model, averages included; see `Extension.attach`."""
        networks = networks_of(model)
        for network in networks.values():
            self.arrange(network)  # again, for models that override model_to_device
        return [f'{", ".join(networks)}: weights are channels last in memory']


class OptimizerForm(Extension):
    """Extension that lets optimisers update all of their parameters in one kernel.

    Args:
        fused: Whether to use torch's fused form. If not, only states that a fused run has saved are adapted.
    """

    name = 'fused_optimizer'

    def __init__(self, fused: bool) -> None:
        self.fused = fused

    def attach(self, model: HostModel) -> list[str]:
        """Fuse the optimisers of a model.

        Raises:
            TrainingError: an optimiser has no fused form; see `fuse`.
        """
        if not self.fused:
            return []
        for optimizer in model.optimizers:
            fuse(optimizer)
        return [f'fused optimizers for {", ".join(trained_networks(model))}']

    def resumed(self, model: HostModel) -> None:
        """Adapt the loaded states; see `settle`."""
        for optimizer in model.optimizers:
            settle(optimizer, self.fused)


class CompiledParts(Extension):
    """Extension that compiles the parts of the trained networks; see `compile_parts`.

    Args:
        shapes: Number of distinct mini-batch shapes of the plan, >= 1.
    """

    name = 'compile'

    def __init__(self, shapes: int) -> None:
        self.shapes = shapes

    def attach(self, model: HostModel) -> list[str]:
        """Compile the trained networks of a model.

        Raises:
            TrainingError: nothing can be compiled on this machine.
        """
        return [
            f'{name} is compiled in parts: {", ".join(compile_parts(network, self.shapes))}'
            for name, network in trained_networks(model).items()
        ]


def fuse(optimizer: torch.optim.Optimizer) -> None:
    """Let an optimiser update all of its parameters in one kernel, by torch's own `fused` form.

    Raises:
        TrainingError: the optimiser has no fused form, or none on the device of its parameters.
    """
    parameter = optimizer.param_groups[0]['params'][0]
    try:  # on a twin: torch checks for a fused form only in an optimiser's constructor
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
    """Convert a loaded optimiser state to the form of this run, fused or not.

    Loading overwrites `fused` by the saved run's. A fused optimiser counts its steps on the device and needs moments
    with the same memory layout as their parameters.

    Args:
        optimizer: The optimiser, its state loaded.
        fused: Whether `fuse` has been called; if not, the optimiser keeps the form of its construction.
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
    """Allow TensorFloat-32 (10 bits of mantissa) for float32 products and convolutions, on GPUs that have it.

    torch's own default is on for convolutions and off for matrix products. No effect on a CPU.
    """
    torch.backends.cuda.matmul.allow_tf32 = on
    torch.backends.cudnn.allow_tf32 = on


def compile_parts(network: nn.Module, shapes: int) -> list[str]:
    """Compile the parts of a network for training; evaluation runs them uncompiled.

    A part is a direct child, or one in a list or dictionary of children. The network itself is not compiled as a whole:
    a recurrent one is a loop over frames, which would be unrolled again for each clip length, while its parts see one
    frame at a time.

    Args:
        network: The network, without DistributedDataParallel around it.
        shapes: Number of distinct mini-batch shapes of the plan, >= 1.

    Returns:
        The names of the parts.

    Raises:
        TrainingError: nothing can be compiled on this machine.
    """
    parts = dict(_parts(network))
    device = next(network.parameters()).device
    try:  # compilation is lazy: without this, a missing compiler would be an error of the first step
        torch.compile(torch.neg)(torch.zeros(2, device=device))
    except Exception as error:  # a missing compiler raises many kinds
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
        replace(part, 'forward', CompiledForward(part), 'compiled for training')
    return list(parts)


def _parts(network: nn.Module, prefix: str = '') -> Iterator[tuple[str, nn.Module]]:
    for name, child in network.named_children():
        if isinstance(child, (nn.ModuleList, nn.ModuleDict)):
            yield from _parts(child, f'{prefix}{name}.')
        elif any(True for _ in child.parameters()):
            yield prefix + name, child


class CompiledForward:
    """Forward pass of a module: compiled for each shape that it gets in training, plain in evaluation.

    It is an attribute of the module, beside the parameters, so that their names stay.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.plain: Callable[..., Any] = module.forward
        self.compiled: Callable[..., Any] = torch.compile(self.plain, dynamic=False)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the compiled forward in training mode, the plain one in evaluation mode."""
        forward = self.compiled if self.module.training else self.plain
        return forward(*args, **kwargs)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """Return the plain forward: a copied module must run with its own parameters, which this one does not know."""
        return copy.deepcopy(self.plain, memo)

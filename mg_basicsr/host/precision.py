"""The block's `precision` around the networks and the training step of any BasicSR model."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from mg_basicsr.errors import MultigridError, Problem, TrainingError
from mg_basicsr.host.log import logger
from mg_basicsr.host.patches.planned_options import fail
from mg_basicsr.host.run import Run
from mg_basicsr.training.own_step import gradient_handling
from mg_basicsr.training.precision.gradient_guard import GradientGuard
from mg_basicsr.training.precision.reduced import DTYPES, reduce_precision


def use_precision(run: Run, model: Any) -> None:
    """Lets a model train in the type that the block asks for. With float32, nothing is touched.

    Called when the model has its optimisers, and takes several passes per step if it has to.

    Raises:
        TrainingError: the model handles gradients itself, has no networks, or is on a device without that type.
    """
    name = run.settings.block.precision
    if name == 'float32':
        return
    refuse_own_handling(model, name)
    networks = trained_networks(model)
    if not networks:
        raise TrainingError(
            Problem(
                'multigrid.precision',
                f'{name}, but {type(model).__name__} has no network under a name net_...',
                'allowed: float32 for this model',
                'remove multigrid.precision',
            )
        )
    device = torch.device(model.device).type
    check_device(device, name)
    log = logger()
    for label, network in networks.items():
        kept = ', '.join([*reduce_precision(network, DTYPES[name]), 'losses'])
        log.info(f'multigrid: {label} trains in {name}, with {kept} in float32')

    def report(line: str) -> None:
        log.warning(f'multigrid: iteration {run.iteration:,}: {line}')

    run.parts['grad_scaler'] = GradientGuard(model, networks.values(), name, name == 'float16', report)
    model.optimize_parameters = ending_cleanly(model.optimize_parameters)


def refuse_own_handling(model: Any, precision: str) -> None:
    """Checks that nothing happens between a model's backward pass and its optimiser's step.

    Raises:
        TrainingError: something does; the model's class and the reason are named.
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


def trained_networks(model: Any) -> dict[str, nn.Module]:
    """The networks of a model (BasicSR names them net_...) that an optimiser trains, by name, out of their wrapper."""
    trained = {id(p) for optimizer in model.optimizers for group in optimizer.param_groups for p in group['params']}
    found = {
        name: value.module if isinstance(value, DistributedDataParallel) else value
        for name, value in vars(model).items()
        if name.startswith('net_') and isinstance(value, nn.Module)
    }
    return {name: net for name, net in found.items() if any(id(p) in trained for p in net.parameters())}


def check_device(device: str, precision: str) -> None:
    """Checks that torch's autocast has the type on a kind of device ('cpu', 'cuda').

    Raises:
        TrainingError: it has not; old versions of torch would warn and train in float32.
    """
    try:
        with warnings.catch_warnings():
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


def ending_cleanly(step: Callable[..., Any]) -> Callable[..., Any]:
    """A training step after whose errors the process ends as after any error of the user's."""

    @functools.wraps(step)
    def optimize_parameters(*args: Any, **kwargs: Any) -> Any:
        try:
            return step(*args, **kwargs)
        except MultigridError as error:
            fail(error)

    return optimize_parameters

"""Which options of the block speed up which parts of a BasicSR model, and when they are put in place."""

from __future__ import annotations

import logging
from typing import Any

from torch import nn

from mg_basicsr.host.norm import trained_networks
from mg_basicsr.host.run import Run
from mg_basicsr.training.acceleration import allow_tf32, channels_last, compile_parts, fuse, settle, try_kernels


def arrange(run: Run, network: nn.Module) -> nn.Module:
    """A network on its way to the device, before it is wrapped for several ranks. The same object."""
    if run.settings.block.channels_last:
        channels_last(network)
    return network


def accelerate(run: Run, model: Any) -> None:
    """A model whose networks and optimisers are complete.

    Raises:
        TrainingError: what an option asks for cannot be had on this machine; the option is named.
    """
    block = run.settings.block
    if block.tf32 is not None:
        allow_tf32(block.tf32)
    if block.cudnn_benchmark is not None:  # BasicSR has set it before the model was made
        try_kernels(block.cudnn_benchmark)
    for name, network in vars(model).items():
        if name.startswith('net_') and isinstance(network, nn.Module):
            arrange(run, network)  # again, for models with a model_to_device of their own
    if block.fused_optimizer:
        for optimizer in model.optimizers:
            fuse(optimizer)
    if block.compile:
        shapes = {(batch.clips_per_rank, batch.shape) for stage in run.plan.stages for batch in stage.batches}
        for name, network in trained_networks(model).items():
            parts = ', '.join(compile_parts(network, len(shapes)))
            logging.getLogger('basicsr').info(f'multigrid: {name} is compiled in parts: {parts}')


def settle_optimizers(run: Run, model: Any) -> None:
    """After a state has been loaded, which may come from a run with other options."""
    for optimizer in model.optimizers:
        settle(optimizer, run.settings.block.fused_optimizer)

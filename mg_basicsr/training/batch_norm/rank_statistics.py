"""Batch norm with statistics over the clips of several ranks, on any device and backend."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist


class _Mean(torch.autograd.Function):
    """Mean of a tensor over the ranks of a group. Its gradient is the same mean of the ranks' gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Any) -> Tensor:
        ctx.group = group
        mean = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(mean, group=group)
        return mean.div_(dist.get_world_size(group))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return _mean(gradients[0], ctx.group), None


def _mean(x: Tensor, group: Any) -> Tensor:
    mean: Tensor = _Mean.apply(x, group)
    return mean


def batch_norm_across_ranks(layer: nn.modules.batchnorm._BatchNorm, x: Tensor, group: Any) -> tuple[Tensor, Tensor]:
    """Normalise a batch in training mode with the statistics of all ranks of a group.

    Defined as torch.nn.SyncBatchNorm, which needs a GPU for each rank; this function does not, and has second
    derivatives, for gradient penalties. Gradients are those of the sum of the ranks' losses, as
    DistributedDataParallel expects.

    Args:
        layer: The layer, for its weight, bias and eps.
        x: Activations, (n, c, ...), the same n on each rank.
        group: The process group; all its ranks call this together.

    Returns:
        The normalised x; and (2, 1, c), the means and unbiased variances, without a gradient.

    Raises:
        ValueError: all ranks together have a single value per channel.
    """
    count = x.numel() // x.size(1) * dist.get_world_size(group)
    if count == 1:
        raise ValueError(f'Expected more than 1 value per channel when training, got input size {tuple(x.shape)}')
    axes = [0, *range(2, x.dim())]
    per_channel = (1, -1, *[1] * (x.dim() - 2))
    # Mean first, then squares of the centred values, both in float32: E[x^2] - E[x]^2 would lose digits.
    exact = x.to(torch.promote_types(x.dtype, torch.float32))

    mean = _mean(exact.mean(axes), group)
    centred = exact - mean.view(per_channel)
    variance = _mean(centred.square().mean(axes), group)
    scale = (variance + layer.eps).rsqrt()
    if layer.affine:
        scale = scale * layer.weight
    normalised = centred * scale.view(per_channel)
    if layer.affine:
        normalised = normalised + layer.bias.view(per_channel)
    unbiased = variance.detach() * (count / (count - 1))
    return normalised.to(x.dtype), torch.stack([mean.detach(), unbiased])[:, None]


def neighbours(ranks: int) -> Any:
    """Return the process group of this rank and its neighbours: ranks 0 .. ranks - 1, the next `ranks`, and so on.

    Args:
        ranks: Ranks of a group, a divisor of the world size. All ranks of the run call this together.

    Returns:
        The group; None for groups of one rank, and without distributed training.
    """
    if ranks == 1 or not (dist.is_available() and dist.is_initialized()):
        return None
    world_size, rank = dist.get_world_size(), dist.get_rank()
    # torch asks every rank to make every group, also those that it is not in.
    groups = [dist.new_group(range(first, first + ranks)) for first in range(0, world_size, ranks)]
    return groups[rank // ranks]

"""Batch norm with the statistics of a standard sub-batch while the number of clips varies.

Method: Wu, Girshick, He, Feichtenhofer, Krähenbühl, "A Multigrid Method for Efficiently Training Video Models" (CVPR
2020). A mini-batch of n sub-batches is normalised as n mini-batches would be, each with its own statistics; weight and
bias are shared. At evaluation the layer is plain batch norm with the statistics of all of them: the mean of the means,
and the mean of the variances plus the variance of the means.

Networks fold frames into the first axis, (b * t, c, h, w), clip by clip, or keep it for clips, (b, c, t, h, w). Equal
contiguous shares of that axis are whole clips in both cases. The order (t * b, ...), frame by frame, is not supported.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from mg_basicsr.errors import Problem, TrainingError
from mg_basicsr.patching import replace
from mg_basicsr.training.batch_norm.rank_statistics import batch_norm_across_ranks


class SubBatchForward:
    """Forward pass that replaces that of one batch norm layer. Module class, parameters and state-dict keys stay.

    The layer's `running_mean` and `running_var` are at all times the statistics of all sub-batches together, so that
    evaluation, checkpoints and copies of the network do not depend on sub-batches.

    Attributes:
        layer: A BatchNorm1d, 2d or 3d.
        parts: Sub-batches in a mini-batch, >= 1.
        group: Process group whose ranks share one sub-batch; None for a sub-batch within the rank.
        running: Running means and variances of each sub-batch, (2, parts, c); None for a single one, whose statistics
            are the layer's, and for layers that keep none.
    """

    def __init__(self, layer: _BatchNorm) -> None:
        self.layer = layer
        self.parts = 1
        self.group: Any = None
        self.running: Tensor | None = None
        replace(layer, 'forward', self, 'batch norm over sub-batches')
        layer.register_load_state_dict_post_hook(self._loaded)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), 'group': None}  # a process group cannot be copied, and copies exchange nothing

    def __call__(self, x: Tensor) -> Tensor:
        """Normalise (n, c) or (n, c, ...); in training, over `parts` equal shares of the first axis.

        Where n is not a multiple of `parts`, the number of shares is the largest smaller one that divides n.
        """
        layer = self.layer
        if not layer.training or (self.parts == 1 and self.group is None):
            return type(layer).forward(layer, x)
        layer._check_input_dim(x)
        if self.group is None:
            normalised, statistics = batch_norm_of_shares(layer, x, share_count(len(x), self.parts))
        else:
            normalised, statistics = batch_norm_across_ranks(layer, x, self.group)
        if layer.track_running_stats:
            self._track(statistics)
        return normalised

    def restart(self, parts: int) -> None:
        """Use `parts` sub-batches from now on, all starting from the layer's statistics."""
        layer = self.layer
        self.parts = parts
        self.running = None
        if parts > 1 and layer.track_running_stats:
            assert layer.running_mean is not None and layer.running_var is not None
            both = torch.stack([layer.running_mean, layer.running_var])
            self.running = both[:, None].repeat(1, parts, 1)

    @torch.no_grad()
    def _track(self, statistics: Tensor) -> None:
        """Update each sub-batch's running statistics from the mini-batch's, (2, shares, c), then the layer's."""
        layer = self.layer
        assert layer.running_mean is not None and layer.running_var is not None
        assert layer.num_batches_tracked is not None
        layer.num_batches_tracked.add_(1)
        # As torch: momentum None is the cumulative mean.
        new = 1 / float(layer.num_batches_tracked) if layer.momentum is None else layer.momentum
        own = torch.stack([layer.running_mean, layer.running_var])[:, None]
        running = own if self.running is None else self.running.to(own.device)
        shares = statistics.size(1)
        if shares < self.parts:  # each sub-batch takes the statistics of the share that its clips are in
            statistics = statistics[:, [part * shares // self.parts for part in range(self.parts)]]
        running = (1 - new) * running + new * statistics.to(running.dtype)
        if self.running is not None:
            self.running = running
        means, variances = running
        # Law of total variance: mean of the variances plus variance of the means.
        layer.running_mean.copy_(means.mean(0))
        layer.running_var.copy_(variances.mean(0) + means.var(0, unbiased=False))

    def _loaded(self, layer: nn.Module, keys: Any) -> None:
        """Restart from the statistics of a loaded checkpoint, which are those of all sub-batches together."""
        self.restart(self.parts)


class SubBatchNorm:
    """Sub-batch norm in all batch norm layers of some networks, switched together.

    Layers that override `forward` (SyncBatchNorm, for example) are left out.

    Args:
        networks: The networks by name.

    Attributes:
        parts: Sub-batches in a mini-batch, >= 1.
        layers: The layers' forward passes, by network and layer (`net_g.body.0.norm`).
    """

    def __init__(self, networks: Mapping[str, nn.Module]) -> None:
        self.parts = 1
        self.layers = {
            f'{network}.{name}': SubBatchForward(layer)
            for network, module in networks.items()
            for name, layer in module.named_modules()
            if isinstance(layer, _BatchNorm) and has_plain_forward(layer)
        }

    def divide(self, parts: int, group: Any = None) -> None:
        """Set the sub-batches of the next mini-batches. If their number changes, all restart from the layer's state.

        Args:
            parts: Sub-batches in this rank's mini-batch, >= 1.
            group: Process group whose ranks share one sub-batch (parts = 1), or None.
        """
        for layer in self.layers.values():
            layer.group = group
            if parts != self.parts:
                layer.restart(parts)
        self.parts = parts

    def state_dict(self) -> dict[str, Any]:
        """Return the statistics of each sub-batch, (2, parts, c) by layer, which a network's file does not hold."""
        running = {name: layer.running for name, layer in self.layers.items() if layer.running is not None}
        return {'parts': self.parts, 'running': running}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load a `state_dict()`, after the networks themselves.

        Raises:
            TrainingError: the state is of other networks; nothing has been changed.
        """
        parts, running = int(state['parts']), state['running']
        expected = {
            name: (2, parts, layer.layer.num_features)
            for name, layer in self.layers.items()
            if parts > 1 and layer.layer.track_running_stats
        }
        found = {name: tuple(tensor.shape) for name, tensor in running.items()}
        if found != expected:
            wrong = min(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
            raise TrainingError(
                Problem(
                    'path.resume_state',
                    f'batch norm statistics of {wrong} with shape {found.get(wrong)}',
                    f'needed: shape {expected.get(wrong)}, as the network has it',
                    'resume with the network that the state was saved of',
                )
            )
        self.parts = parts
        for name, layer in self.layers.items():
            layer.restart(parts)
            if layer.running is not None:
                layer.running = running[name].to(layer.running)


def has_plain_forward(layer: _BatchNorm) -> bool:
    """Return whether a layer's forward is that of torch; false for a layer that has sub-batches already."""
    return type(layer).forward is _BatchNorm.forward and 'forward' not in vars(layer)


def share_count(length: int, parts: int) -> int:
    """Return the largest number of equal shares.

    Args:
        length: Length to be shared, >= 0.
        parts: Most shares, >= 1.

    Returns:
        The largest divisor of `length` that is at most `parts`; 1 for an empty batch.
    """
    return next((n for n in range(min(parts, length), 0, -1) if length % n == 0), 1)


def batch_norm_of_shares(layer: _BatchNorm, x: Tensor, shares: int) -> tuple[Tensor, Tensor]:
    """Normalise equal, contiguous shares of a batch in training mode, each with its own statistics.

    Args:
        layer: The layer, for its weight, bias and eps.
        x: Activations, (n, c, ...).
        shares: Number of shares, a divisor of n.

    Returns:
        The normalised x; and (2, shares, c), the shares' means and unbiased variances, without a gradient.
    """
    kind = next(tensor for tensor in (layer.running_mean, layer.weight, x) if tensor is not None)
    statistics = torch.zeros(2, shares, layer.num_features, dtype=kind.dtype, device=x.device)
    normalised = [
        # With momentum 1, the running statistics that torch writes are this share's.
        functional.batch_norm(share, mean, variance, layer.weight, layer.bias, True, 1.0, layer.eps)
        for share, mean, variance in zip(x.chunk(shares), *statistics, strict=True)
    ]
    return torch.cat(normalised), statistics

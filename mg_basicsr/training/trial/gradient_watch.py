"""Detection of steps that change gradients between the backward pass and the optimiser: clipping, scaling, noise."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType

import torch

from mg_basicsr.training.host_model import HostModel, wrapped_networks


class GradientWatch:
    """Watcher of a model's gradients; a context, in which `compare` is called when an optimiser steps.

    What is done in place shows in a tensor's version, also where it changes no value, as clipping of a gradient whose
    norm is below the limit. Ranks exchange gradients in place too: wrapped networks are not watched.

    Attributes:
        changed: Whether a gradient was no longer what the backward pass had left.

    Args:
        model: The model, its optimisers set up.
    """

    def __init__(self, model: HostModel) -> None:
        self.changed = False
        self._left: dict[int, tuple[torch.Tensor, int]] = {}
        self._hooks = ExitStack()
        groups = [group for optimizer in model.optimizers for group in optimizer.param_groups]
        self._parameters = {id(parameter): parameter for group in groups for parameter in group['params']}
        if wrapped_networks(model):
            self._parameters = {}

    def __enter__(self) -> GradientWatch:
        for parameter in self._parameters.values():
            # torch < 2.1 has no such hook
            if parameter.requires_grad and hasattr(parameter, 'register_post_accumulate_grad_hook'):
                self._hooks.callback(parameter.register_post_accumulate_grad_hook(self._note).remove)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hooks.close()

    def compare(self, parameter: torch.Tensor) -> None:
        """Compare a gradient that an optimiser is about to use with what the last backward pass has left."""
        if id(parameter) not in self._left or parameter.grad is None:
            return
        gradient, version = self._left[id(parameter)]
        is_same = parameter.grad is gradient and gradient._version == version
        if not is_same and bool(parameter.grad.any()):  # zeros: cleared, and not used since
            self.changed = True

    def _note(self, parameter: torch.Tensor) -> None:
        if parameter.grad is not None:
            self._left[id(parameter)] = parameter.grad, parameter.grad._version

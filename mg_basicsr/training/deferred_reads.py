"""Extension: what is only for the log is read from the device when the log is written, not in every iteration.

A host that reads a number from the device waits until all of the step has been computed, and the device then waits for
the host. BasicSR reads every loss in every iteration, of which one in a hundred is logged. Everything that ranks
exchange is exchanged at once, as before; only the numbers are read later, and are the same.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch

from mg_basicsr.patching import replace
from mg_basicsr.training.extension import Extension, TrainStep
from mg_basicsr.training.host_model import HostModel
from mg_basicsr.training.loss_log import deferred

Check = Callable[[torch.Tensor], None]

_in_step: DeferredReads | None = None  # the extension whose step is being made


class DeferredReads(Extension):
    """Extension that puts off what a step reads for the log. It is always on.

    A model's `reduce_loss_dict` returns a `LossLog`, and the checks of `look_later` are made in `settle`.
    """

    name = 'deferred_reads'

    def __init__(self) -> None:
        self._checks: list[tuple[Check, torch.Tensor]] = []

    def attach(self, model: HostModel) -> list[str]:
        """Replace `reduce_loss_dict`, also one of the repository's own; see `Extension.attach`."""
        reduce = getattr(model, 'reduce_loss_dict', None)
        if reduce is not None:
            replace(model, 'reduce_loss_dict', deferred(reduce), 'losses are read when the log is written')
        return []

    def around(self, call: TrainStep) -> TrainStep:
        """Return the training step, in which checks are kept for later."""

        @functools.wraps(call)
        def step(*args: Any, **kwargs: Any) -> Any:
            global _in_step
            _in_step = self
            try:
                return call(*args, **kwargs)
            finally:
                _in_step = None

        return step

    def keep(self, check: Check, value: torch.Tensor) -> None:
        """Keep a check of a value for `settle`.

        Args:
            check: Looks at it.
            value: The value; copied, since the step may write to it.
        """
        self._checks.append((check, value.detach().clone()))

    def settle(self) -> None:
        """Make the checks of the steps since the last time, in their order, with one read for all of a type."""
        checks, self._checks = self._checks, []
        kinds: dict[Any, list[torch.Tensor]] = {}
        for _, value in checks:
            kinds.setdefault((value.device, value.dtype, value.shape), []).append(value)
        read = {kind: iter(torch.stack(values).cpu()) for kind, values in kinds.items()}
        for check, value in checks:
            check(next(read[value.device, value.dtype, value.shape]))


def look_later(check: Check, value: Any) -> None:
    """Have a value on the device looked at when the log is written; now, if no training step is being made.

    Args:
        check: Looks at it, and changes nothing but the log.
        value: The value.
    """
    if _in_step is not None and isinstance(value, torch.Tensor) and not torch.compiler.is_compiling():
        _in_step.keep(check, value)
    else:
        check(value)

"""Arguments of a training step. BasicSR's takes the iteration; others a scaler, a logger, or the mini-batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

Batch = Mapping[str, Any]
Given = tuple[tuple[Any, ...], dict[str, Any]]


def is_batch(value: Any) -> bool:
    """Return whether an argument is a mini-batch: a mapping with tensors in it."""
    return isinstance(value, Mapping) and any(torch.is_tensor(entry) for entry in value.values())


def batch_among(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Batch | None:
    """Return the mini-batch among the arguments of a step; None without one.

    Args:
        args: Positional arguments.
        kwargs: Keyword arguments.
    """
    return next((value for value in (*args, *kwargs.values()) if is_batch(value)), None)


def with_batch(args: tuple[Any, ...], kwargs: Mapping[str, Any], batch: Batch) -> Given:
    """Return the arguments of a step with another mini-batch in the place of theirs, if there is one among them.

    Args:
        args: Positional arguments.
        kwargs: Keyword arguments.
        batch: The mini-batch that the step is made on.
    """
    changed = tuple(batch if is_batch(value) else value for value in args)
    return changed, {name: batch if is_batch(value) else value for name, value in kwargs.items()}

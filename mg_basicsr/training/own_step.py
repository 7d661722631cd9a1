"""A model's own training step: what it does with its gradients, and how to go around it without editing it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


def gradient_handling(model: Any) -> str:
    """Why gradients must reach the step of a BasicSR model exactly as it makes them; '' if it leaves them alone.

    A step that scales losses or clips gradients itself does so between the backward pass and the optimiser, where
    nothing can be inserted from outside.
    """
    steps = [method for base in type(model).__mro__ if (method := vars(base).get('optimize_parameters'))]
    for step in steps:
        source = _source(step)
        if 'scaler' in inspect.signature(step).parameters or 'scaler.' in source:
            return 'its optimize_parameters has a gradient scaler of its own'
        if 'clip_grad' in source:
            return 'its optimize_parameters clips the gradient of each pass'
        if 'super(' not in source:  # the steps of its base classes are not called
            break
    return ''


def _source(method: Callable[..., Any]) -> str:
    try:
        return inspect.getsource(method)
    except (OSError, TypeError):
        return ''


@contextmanager
def replaced(owner: Any, name: str, value: Callable[..., Any]) -> Iterator[None]:
    """`owner.name` is `value` for the body, as an attribute of that one object."""
    own = vars(owner).get(name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if own is None:
            delattr(owner, name)
        else:
            setattr(owner, name, own)

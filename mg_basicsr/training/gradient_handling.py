"""Detection of training steps that scale or clip gradients themselves, by reading their source."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from mg_basicsr.training.host_model import HostModel


def gradient_handling(model: HostModel) -> str:
    """Return the reason why a model's gradients cannot be scaled or accumulated from outside; '' if they can.

    A step that scales losses or clips gradients does so between the backward pass and the optimiser's step, where
    nothing can be inserted from outside.
    """
    steps = [method for base in type(model).__mro__ if (method := vars(base).get('optimize_parameters'))]
    for step in steps:
        source = _source(step)
        if 'scaler' in inspect.signature(step).parameters or 'scaler.' in source:
            return 'its optimize_parameters has its own gradient scaler'
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

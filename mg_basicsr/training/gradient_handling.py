"""Detection of training steps that scale or clip gradients themselves, by the names that their code uses."""

from __future__ import annotations

import dis
import inspect
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any

from mg_basicsr.training.host_model import HostModel


def gradient_handling(model: HostModel) -> str:
    """Return the reason why a model's gradients cannot be scaled or accumulated from outside; '' if they can.

    A step that scales losses or clips gradients does so between the backward pass and the optimiser's step, where
    nothing can be inserted from outside.
    """
    for function in step_functions(model):
        names = {name for code in _codes(function.__code__) for name in (*code.co_names, *code.co_varnames)}
        if any(name.endswith('scaler') for name in names):
            return 'its optimize_parameters has its own gradient scaler'
        if any('clip_grad' in name for name in names):
            return 'its optimize_parameters clips the gradient of each pass'
    return ''


def counts_iterations(model: HostModel) -> bool:
    """Return whether a model's training step may differ from one iteration to the next for ever: it divides by `%`."""
    return any(
        instruction.argrepr.rstrip('=') == '%' or 'MODULO' in instruction.opname
        for function in step_functions(model)
        for code in _codes(function.__code__)
        for instruction in dis.get_instructions(code)
    )


def step_functions(model: HostModel) -> Iterator[FunctionType]:
    """Yield the functions of a model's training step: optimize_parameters, and the model's own methods that it calls.

    A method that calls `super()` is followed by those of the base classes; of a decorated one, the original is taken.
    """
    waiting, seen = ['optimize_parameters'], set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for base in type(model).__mro__:
            function = _function(vars(base).get(name))
            if function is None:
                continue
            yield function
            used = {each for code in _codes(function.__code__) for each in code.co_names}
            waiting.extend(used)
            if 'super' not in used:  # the methods of its base classes are not called
                break


def _function(method: Any) -> FunctionType | None:
    method = inspect.unwrap(getattr(method, '__func__', method)) if callable(method) else method
    own = isinstance(method, FunctionType) and (method.__module__ or '').partition('.')[0] != 'torch'
    return method if own else None


def _codes(code: CodeType) -> Iterator[CodeType]:
    """Yield a function's code, and that of the functions within it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)

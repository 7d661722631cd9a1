"""Shim for networks that look at a value on the device only to log a warning, found by what their code does.

BasicSR's deformable alignment compares the mean of its offsets with a limit at each call, for which the host waits
until the device has computed it; EDVR does so twenty times in a step. Here the values of a step are looked at when the
log is written, and the warnings are those that the network would have logged.
"""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
from types import FunctionType
from typing import Any

from mg_basicsr.patching import Function, replace
from mg_basicsr.training.deferred_reads import look_later

LOGS = {'debug', 'info', 'warning', 'warn', 'error', 'print'}
LATER = '_look_later'  # a name that no network uses


def warn_later(cls: type) -> None:
    """Put off comparisons in a network's `forward` that decide about nothing but lines of the log.

    2026-11. Can be removed when BasicSR's DCNv2Pack does not compare its offsets in every step.
    """
    for base in cls.__mro__:
        forward = vars(base).get('forward')
        if isinstance(forward, FunctionType) and LOGS & {*forward.__code__.co_names}:
            rewritten = _rewritten(forward)
            if rewritten is not None:
                replace(base, 'forward', rewritten, 'values are compared with a limit when the log is written')


def _rewritten(function: FunctionType) -> Function | None:
    """Return a function with its comparisons put off; None if there are none, or its code is not there to be read."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return None
    definition = tree.body[0]
    if not isinstance(definition, ast.FunctionDef) or definition.decorator_list or _needs_its_class(function):
        return None
    change = _Later(definition)
    change.visit(definition)
    if not change.count:
        return None
    ast.increment_lineno(tree, function.__code__.co_firstlineno - 1)
    unset = ast.Constant(None)  # defaults are those of the function, which may be names of its class
    definition.args.defaults = [unset for _ in definition.args.defaults]
    definition.args.kw_defaults = [each and unset for each in definition.args.kw_defaults]
    maker = ast.parse(f'def make({LATER}):\n    return {function.__name__}').body[0]
    assert isinstance(maker, ast.FunctionDef)
    maker.body.insert(0, definition)
    scope: dict[str, Any] = {}
    module = ast.fix_missing_locations(ast.Module([maker], []))
    exec(compile(module, inspect.getfile(function), 'exec'), function.__globals__, scope)
    made = scope['make'](look_later)
    made.__defaults__, made.__kwdefaults__ = function.__defaults__, function.__kwdefaults__
    return functools.wraps(function)(made)


def _needs_its_class(function: FunctionType) -> bool:
    """Return whether the source is not all there is: `super()`, names like `self.__scale`, a wrapper around it."""
    code = function.__code__
    mangled = any(name.startswith('_') and '__' in name[1:].rstrip('_') for name in (*code.co_names, *code.co_varnames))
    return bool(code.co_freevars) or mangled or hasattr(function, '__wrapped__')


class _Later(ast.NodeTransformer):
    """Change of `if value > limit: log` to a function of `value`, and a call that has it called later.

    Args:
        definition: The function.

    Attributes:
        count: Comparisons that have been changed.
    """

    def __init__(self, definition: ast.FunctionDef) -> None:
        self.definition = definition
        self.count = 0

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        """Return the statements in the place of an `if`."""
        name = _compared(node.test)
        if name is None or node.orelse or not self._only_logs(node):
            return self.generic_visit(node)
        self.count += 1
        check = ast.parse(f'def _check({name}): pass\n{LATER}(_check, {name})').body
        assert isinstance(check[0], ast.FunctionDef)
        check[0].body = [node]
        return [ast.copy_location(statement, node) for statement in check]

    def _only_logs(self, node: ast.If) -> bool:
        assigned = {target.id for statement in node.body for target in ast.walk(statement)
                    if isinstance(target, ast.Name) and isinstance(target.ctx, ast.Store)}  # fmt: skip
        inside = {id(part) for part in ast.walk(node)}
        elsewhere = {part.id for part in ast.walk(self.definition) if isinstance(part, ast.Name)
                     and id(part) not in inside}  # fmt: skip
        return not assigned & elsewhere and all(map(_logs, node.body)) and _is_log(node.body[-1])


def _compared(test: ast.expr) -> str | None:
    """Return the name of what is compared with a number."""
    if (
        isinstance(test, ast.Compare)
        and isinstance(test.left, ast.Name)
        and len(test.ops) == 1
        and isinstance(test.ops[0], (ast.Gt, ast.GtE))
        and isinstance(test.comparators[0], ast.Constant)
    ):
        return test.left.id
    return None


def _logs(statement: ast.stmt) -> bool:
    """Return whether a statement writes to a log, or gets a logger to do so."""
    if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call):
        return 'logger' in _called(statement.value).lower()
    return _is_log(statement)


def _is_log(statement: ast.stmt) -> bool:
    call = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(call, ast.Call) and _called(call) in LOGS


def _called(call: ast.Call) -> str:
    """Return the last part of the name of what is called."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, 'id', '')

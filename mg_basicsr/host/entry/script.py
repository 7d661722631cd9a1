"""Execution of a script as by `python script.py`, with hooks installed in this process and in its workers."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from mg_basicsr.errors import ConfigError, Problem

# Environment variable with the path of the script, for spawned workers.
SCRIPT = 'MG_BASICSR_SCRIPT'


def import_classes(script: Path) -> None:
    """Execute a training script up to the last import outside its functions, so that its classes are registered.

    It is not executed as `__main__`, and nothing after the imports is: a script that trains without asking for its name
    does not train here. Its folder is on sys.path already.

    Args:
        script: Path of the script.

    Raises:
        ConfigError: there is no such script, or it cannot be imported here.
    """
    path = script.resolve()
    try:
        tree = ast.parse(path.read_bytes(), str(path))
        last = max((n for n, node in enumerate(tree.body) if any(_imports(node))), default=-1)
        tree.body = tree.body[: last + 1]
        module = ModuleType('multigrid_script')
        module.__file__ = str(path)
        exec(compile(tree, str(path), 'exec'), module.__dict__)
    except (Exception, SystemExit) as error:  # of any kind: it is the repository's own code
        message = ' '.join(f'{type(error).__name__}: {error}'.split())
        raise ConfigError(
            Problem(
                f'--script {script}',
                f'its imports fail: {message[:300]}',
                'needed: the training script of the repository, in an environment in which it can be started',
                'correct the path, or install what is missing',
            )
        ) from None


def _imports(node: ast.AST) -> Iterator[bool]:
    """Yield True for each import below a node, those within functions and classes left out."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        yield True
    elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
        for child in ast.iter_child_nodes(node):
            yield from _imports(child)


def run_script(script: Path) -> None:
    """Execute a script as `__main__`; sys.path and sys.argv are already the script's.

    Spawned workers import the main module again. Its spec names `mg_basicsr.host.entry.worker_main`, which imports this
    package and then the script: otherwise the script would import basicsr there without the shims.
    """
    path = script.resolve()
    os.environ[SCRIPT] = str(path)
    main = ModuleType('__main__')
    main.__file__ = os.path.abspath(script)  # as in Python: links are resolved for sys.path, not here
    main.__spec__ = ModuleSpec('mg_basicsr.host.entry.worker_main', None)
    main.__builtins__ = __builtins__  # type: ignore[attr-defined]
    sys.modules['__main__'] = main
    exec(compile(path.read_bytes(), str(path), 'exec'), main.__dict__)

"""Execution of a script as by `python script.py`, with hooks installed in this process and in its workers."""

from __future__ import annotations

import os
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

# Environment variable with the path of the script, for spawned workers.
SCRIPT = 'MG_BASICSR_SCRIPT'


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

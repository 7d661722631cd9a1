"""Compiled inner loops, where they could be built; `None` otherwise, and their callers then use NumPy and torch.

The environment variable MG_BASICSR_KERNELS=0 leaves them out, for tests and comparisons.
"""

from __future__ import annotations

import os
from types import ModuleType

VARIABLE = 'MG_BASICSR_KERNELS'


def _load() -> ModuleType | None:
    if os.environ.get(VARIABLE) == '0':
        return None
    try:
        from mg_basicsr.data import _kernels
    except ImportError:  # installed without a compiler
        return None
    return _kernels


compiled = _load()

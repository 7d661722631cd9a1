"""Multigrid training for video super-resolution with BasicSR.

Importing the package is one of the three ways in: `import mg_basicsr` at the top of a training script makes the
`multigrid:` block of its options file work. It returns at once; BasicSR's modules are hooked when they are imported.
"""

from __future__ import annotations

from typing import Any

from mg_basicsr._version import __version__
from mg_basicsr.host.install import install

install()

_REGISTERED = (
    'SAMPLER_REGISTRY',
    'MultigridDataset',
    'MultigridModel',
    'MultigridREDSDataset',
    'MultigridSampler',
    'MultigridVimeo90KDataset',
)

__all__ = ['__version__', *_REGISTERED]


def __getattr__(name: str) -> Any:
    """The registered classes, imported (with basicsr) only when they are asked for."""
    if name in _REGISTERED:
        from mg_basicsr.host import registered

        return getattr(registered, name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')

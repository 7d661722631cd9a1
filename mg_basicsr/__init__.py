"""Multigrid training for video super-resolution with BasicSR.

There are three ways to use the package; this is one: `import mg_basicsr` at the top of a training script makes the
`multigrid:` block of its options file work. It loads little; BasicSR's modules are hooked when they are imported.

Most names below can be used without BasicSR's train loop, and without BasicSR; each is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import Any

from mg_basicsr._version import __version__
from mg_basicsr.host.install import install

install()

# public name: 'module:attribute' of the object
_PUBLIC = {
    # registered with BasicSR
    'SAMPLER_REGISTRY': 'mg_basicsr.host.registered:SAMPLER_REGISTRY',
    'MultigridDataset': 'mg_basicsr.host.data.datasets:MultigridDataset',
    'MultigridModel': 'mg_basicsr.host.registered:MultigridModel',
    'MultigridREDSDataset': 'mg_basicsr.host.data.datasets:MultigridREDSDataset',
    'MultigridSampler': 'mg_basicsr.data.sampling.sampler:MultigridSampler',
    'MultigridVimeo90KDataset': 'mg_basicsr.host.data.datasets:MultigridVimeo90KDataset',
    # a plan, and training sets that deliver its shapes, as 8-bit pixels
    'plan': 'mg_basicsr.config.planning:plan',
    'Plan': 'mg_basicsr.schedule.plan:Plan',
    'TrainSetOptions': 'mg_basicsr.train_set:TrainSetOptions',
    'REDS': 'mg_basicsr.data.datasets.reds:REDS',
    'REDSRecurrent': 'mg_basicsr.data.datasets.reds:REDSRecurrent',
    'Vimeo90K': 'mg_basicsr.data.datasets.vimeo:Vimeo90K',
    'Vimeo90KRecurrent': 'mg_basicsr.data.datasets.vimeo:Vimeo90KRecurrent',
    'PairedImage': 'mg_basicsr.data.datasets.images:PairedImage',
    'store_clips': 'mg_basicsr.data.datasets.store_clips:store_clips',
    'pixels_to_float': 'mg_basicsr.data.loading.batches:pixels_to_float',
    # crop stores
    'ArrayClip': 'mg_basicsr.data.store.building.material:ArrayClip',
    'StoreFrames': 'mg_basicsr.data.store.reader:StoreFrames',
    'open_store': 'mg_basicsr.data.store.opening:open_store',
    'build_store': 'mg_basicsr.data.store.building.folders:build_store',
    # errors
    'MultigridError': 'mg_basicsr.errors:MultigridError',
}

__all__ = ['__version__', *_PUBLIC]


def __getattr__(name: str) -> Any:
    """Import the object of a public name at its first use.

    Raises:
        AttributeError: the package has no such name.
    """
    if name not in _PUBLIC:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    module, _, attribute = _PUBLIC[name].partition(':')
    value = globals()[name] = getattr(importlib.import_module(module), attribute)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

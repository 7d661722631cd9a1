"""Our types beside BasicSR's own, in its registries."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

from mg_basicsr.data.sampling.sampler import MultigridSampler
from mg_basicsr.demo.network import MultigridDemoNet
from mg_basicsr.errors import ConfigError, MultigridError, Problem, fail
from mg_basicsr.host.data.datasets import MultigridDataset, MultigridREDSDataset, MultigridVimeo90KDataset


def MultigridModel(opt: dict[str, Any]) -> Any:
    """The model class that `base_model` names, as it is: the hooks on BaseModel make any model follow the plan.

    Raises:
        ConfigError: no `base_model`, or one that is not registered.
    """
    from basicsr.utils.registry import MODEL_REGISTRY

    base_model = opt.get('base_model')
    if base_model not in MODEL_REGISTRY or base_model == MultigridModel.__name__:
        raise ConfigError(
            Problem(
                'base_model',
                f'{base_model} is not a registered model',
                'allowed: ' + ', '.join(sorted(set(MODEL_REGISTRY.keys()) - {MultigridModel.__name__})),
                'name the model class that MultigridModel wraps',
            )
        )
    opt['model_type'] = base_model
    return MODEL_REGISTRY.get(base_model)(opt)


def _ends_cleanly(entry: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    """The entry for the registry: the host calls it, and knows nothing of our exceptions."""

    @functools.wraps(entry)
    def make(opt: dict[str, Any]) -> Any:
        try:
            return entry(opt)
        except MultigridError as error:
            fail(error)

    return make


def register(module: ModuleType) -> None:
    """Registers everything with the registries of basicsr.utils.registry (old copies of BasicSR have fewer)."""
    table: dict[str, tuple[Any, ...]] = {
        'DATASET_REGISTRY': (MultigridREDSDataset, MultigridVimeo90KDataset, MultigridDataset),
        'MODEL_REGISTRY': (MultigridModel,),
        'ARCH_REGISTRY': (MultigridDemoNet,),
    }
    for name, entries in table.items():
        registry = getattr(module, name, None)
        if registry is None:
            continue
        for entry in entries:
            if entry.__name__ not in registry:
                registry.register(entry if isinstance(entry, type) else _ends_cleanly(entry))


def __getattr__(name: str) -> Any:
    """SAMPLER_REGISTRY, which BasicSR does not have: made with its own Registry when first asked for."""
    if name != 'SAMPLER_REGISTRY':
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from basicsr.utils.registry import Registry

    registry = Registry('sampler')
    registry.register(MultigridSampler)
    globals()[name] = registry
    return registry

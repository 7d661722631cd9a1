"""Types of this package that are registered beside BasicSR's own."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from mg_basicsr.data.sampling.sampler import MultigridSampler
from mg_basicsr.demo.network import MultigridDemoNet
from mg_basicsr.errors import ConfigError, Problem, ending_cleanly
from mg_basicsr.host.data.datasets import MultigridDataset, MultigridREDSDataset, MultigridVimeo90KDataset


def MultigridModel(opt: dict[str, Any]) -> Any:
    """Return a model of the class that `base_model` names: the hooks on BaseModel make any model follow the plan.

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
    opt['model_type'] = base_model  # models that read their own type see the real one
    return MODEL_REGISTRY.get(base_model)(opt)


def register(module: ModuleType) -> None:
    """Register everything with the registries of basicsr.utils.registry. Registered names are not replaced.

    Old copies of BasicSR have fewer registries, which needs no message here: BasicSR raises an error for a type in an
    options file that is not registered.
    """
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
                registry.register(entry if isinstance(entry, type) else ending_cleanly(entry))


def __getattr__(name: str) -> Any:
    """Return SAMPLER_REGISTRY, which BasicSR does not have. It is made with BasicSR's Registry at the first access.

    Raises:
        AttributeError: another name is asked for.
    """
    if name != 'SAMPLER_REGISTRY':
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from basicsr.utils.registry import Registry

    registry = Registry('sampler')
    registry.register(MultigridSampler)
    globals()[name] = registry
    return registry

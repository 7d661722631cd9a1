"""Our types beside BasicSR's own, in its registries."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from mg_basicsr.data.sampler import MultigridSampler
from mg_basicsr.host.datasets import MultigridDataset, MultigridREDSDataset, MultigridVimeo90KDataset
from mg_basicsr.host.demo_network import MultigridDemoNet


def MultigridModel(opt: dict[str, Any]) -> Any:  # noqa: N802 - the name of a registered model type
    """The model class that `base_model` names, as it is: the hooks on BaseModel make any model follow the plan."""
    from basicsr.utils.registry import MODEL_REGISTRY

    opt['model_type'] = opt['base_model']
    return MODEL_REGISTRY.get(opt['base_model'])(opt)


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
                registry.register(entry)


def __getattr__(name: str) -> Any:
    """SAMPLER_REGISTRY, which BasicSR does not have: made with its own Registry when first asked for."""
    if name != 'SAMPLER_REGISTRY':
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from basicsr.utils.registry import Registry

    registry = Registry('sampler')
    registry.register(MultigridSampler)
    globals()[name] = registry
    return registry

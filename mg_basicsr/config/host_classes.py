"""Classes behind the names in an options file, as far as known; a plan alone goes by the names."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

# Models with a degradation pool, which holds batches of the first shape, and which crop GT by the top-level gt_size.
POOL_MODELS = ('RealESRGANModel', 'RealESRNetModel', 'LDLModel')


@dataclass(frozen=True)
class HostClasses:
    """Classes of a process that has imported a repository.

    Attributes:
        pool_models: Names of models that are refused for their pool of degraded pairs.
        own_datasets: Names of BasicSR's data sets under which the repository has registered other classes: which
            options such a class takes, and which files it reads, is not known.
    """

    pool_models: Collection[str] = POOL_MODELS
    own_datasets: Collection[str] = ()


BY_NAME = HostClasses()

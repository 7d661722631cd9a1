"""Models with a pool of degraded pairs (Real-ESRGAN): it holds batches of the first shape, and no others fit in.

`plan` goes by the model's name. Here it is the class that decides: one is known by the method that fills its pool, and
refused where it calls it. A repository's own class under the name of such a model is trained if it has no pool.
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from typing import Any, NoReturn

from mg_basicsr.config.host_classes import POOL_MODELS
from mg_basicsr.config.refusals import pool_problem
from mg_basicsr.errors import TrainingError, ending_cleanly
from mg_basicsr.patching import replace
from mg_basicsr.training.host_model import HostModel

FILLS = '_dequeue_and_enqueue'  # of BasicSR's RealESRGANModel and RealESRNetModel, and of copies of them


def pool_models() -> Collection[str]:
    """Return the names that stand for models with a pool in this process.

    Names under which the repository has registered a class without a pool are left out. Options files are read after
    the repository's classes have been registered; where they are not, all names stay.
    """
    registry: Any = getattr(sys.modules.get('basicsr.utils.registry'), 'MODEL_REGISTRY', {})
    return [name for name in POOL_MODELS if name not in registry or hasattr(registry.get(name), FILLS)]


def refuse_pool(model: HostModel) -> None:
    """End the process where a model puts a batch into its pool, whatever the model is called."""
    if not hasattr(model, FILLS):
        return
    cls = type(model)

    @ending_cleanly
    def refuse() -> NoReturn:
        raise TrainingError(pool_problem('model_type', f'{cls.__module__}.{cls.__qualname__}'))

    replace(model, FILLS, refuse, 'a plan has batches of several shapes')

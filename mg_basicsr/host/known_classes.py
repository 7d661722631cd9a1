"""Classes behind the names in an options file, as far as this process has imported and registered them."""

from __future__ import annotations

from mg_basicsr.config.host_classes import HostClasses
from mg_basicsr.host.data.origin import own_datasets
from mg_basicsr.host.pair_pool import pool_models


def known_classes() -> HostClasses:
    """Return what is known of the classes: the names alone, before the repository has been imported."""
    return HostClasses(pool_models(), own_datasets())

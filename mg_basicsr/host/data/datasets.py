"""Which dataset serves a training set: one of ours for the types that we know, the adapter for any other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mg_basicsr.data.datasets.clip_dataset import ClipDataset
from mg_basicsr.data.datasets.images import PairedImage
from mg_basicsr.data.datasets.reds import REDS, REDSRecurrent
from mg_basicsr.data.datasets.vimeo import Vimeo90K, Vimeo90KRecurrent
from mg_basicsr.data.listing.train_set import TrainSetOptions
from mg_basicsr.data.store.opening import open_store
from mg_basicsr.errors import ConfigError, Problem
from mg_basicsr.host.data.adapter import AdaptedDataset
from mg_basicsr.host.data.grids import known_degradation

# BasicSR's types that ours take the place of, and the registered names of ours in their two forms
KNOWN: dict[tuple[str, bool], Callable[..., ClipDataset]] = {
    ('REDSRecurrentDataset', True): REDSRecurrent,
    ('REDSDataset', True): REDS,
    ('Vimeo90KRecurrentDataset', True): Vimeo90KRecurrent,
    ('Vimeo90KDataset', True): Vimeo90K,
    ('PairedImageDataset', True): PairedImage,
    ('MultigridREDSDataset', True): REDSRecurrent,
    ('MultigridREDSDataset', False): REDS,
    ('MultigridVimeo90KDataset', True): Vimeo90KRecurrent,
    ('MultigridVimeo90KDataset', False): Vimeo90K,
}

# Options of PairedImageDataset that only BasicSR's own class carries out: the adapter is used then
HOST_CONVERSIONS = ('color', 'mean', 'std')


def our_dataset(
    train_set: Mapping[str, Any], scale: object, store: str | None = None, degradation: str | None = None
) -> ClipDataset | None:
    """Our dataset for a `datasets.train` section; None for types that only the host knows.

    Args:
        train_set: The section.
        scale: The file's top-level scale.
        store: Crop store to read from; else the one that `io_backend` names, or the section's folders or LMDBs.
        degradation: How LQ was made from GT, if the user tells; a store may tell too.

    Raises:
        ConfigError, DataError: the section or the data that it names cannot be used.
    """
    name = train_set.get('type')
    kind = KNOWN.get((str(name), bool(train_set.get('recurrent', True))))
    if kind is None or (kind is PairedImage and any(train_set.get(key) is not None for key in HOST_CONVERSIONS)):
        if store:
            raise ConfigError(_no_store_for(str(name), store))
        return None
    options = TrainSetOptions.parse(train_set, scale)
    store = store or options.store
    if not store:
        return kind(options.replace(degradation=degradation))
    source = open_store(store, options)
    dataset = kind(options.replace(degradation=known_degradation(degradation, source.header)), source)
    source.check(dataset.keys.sequences)
    return dataset


def _no_store_for(name: str, store: str) -> Problem:
    return Problem(
        'multigrid.store',
        f'{store}, but datasets.train.type {name} reads by code of its own',
        'allowed: ' + ', '.join(sorted({known for known, _ in KNOWN})),
        'remove store, or use one of these types',
    )


def planned_dataset(host_dataset: Any, prepared: ClipDataset | None, scale: int) -> ClipDataset | AdaptedDataset:
    """The dataset of a run: what was prepared at its start, else the host's own, adapted."""
    if prepared is not None:
        return prepared
    if isinstance(host_dataset, (ClipDataset, AdaptedDataset)):
        return host_dataset
    return AdaptedDataset(host_dataset, scale)


def _registered(opt: dict[str, Any], name: str) -> ClipDataset:
    dataset = our_dataset({**opt, 'type': name}, opt.get('scale', 1))
    assert dataset is not None
    dataset.opt = opt  # type: ignore[attr-defined]  # as BasicSR's datasets have it
    return dataset


def MultigridREDSDataset(opt: dict[str, Any]) -> ClipDataset:
    """REDS and sets laid out like it, for recurrent networks; with `recurrent: false` for sliding windows."""
    return _registered(opt, 'MultigridREDSDataset')


def MultigridVimeo90KDataset(opt: dict[str, Any]) -> ClipDataset:
    """Vimeo-90K septuplets, for recurrent networks; with `recurrent: false` for sliding windows."""
    return _registered(opt, 'MultigridVimeo90KDataset')


def MultigridDataset(opt: dict[str, Any]) -> AdaptedDataset:
    """Any registered dataset type, given as `base_type`, made to obey the plan's shapes.

    Raises:
        ConfigError: no `base_type`, or one that is not registered.
    """
    from basicsr.utils.registry import DATASET_REGISTRY

    base_type = opt.get('base_type')
    if base_type not in DATASET_REGISTRY or base_type == MultigridDataset.__name__:
        raise ConfigError(
            Problem(
                'datasets.train.base_type',
                f'{base_type} is not a registered dataset',
                'allowed: ' + ', '.join(sorted(DATASET_REGISTRY.keys())),
                'name the dataset class that MultigridDataset adapts',
            )
        )
    return AdaptedDataset(DATASET_REGISTRY.get(base_type)({**opt, 'type': base_type}), int(opt.get('scale', 1)))

"""Dataset of a training set: one of this package's for the types of the table, the adapter around any other."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from mg_basicsr.config.resolve import Settings
from mg_basicsr.data.datasets.clip_dataset import ClipDataset
from mg_basicsr.data.store.opening import differences, open_store
from mg_basicsr.dataset_types import DatasetType
from mg_basicsr.errors import ConfigError, Problem
from mg_basicsr.host.data.adapter import AdaptedDataset
from mg_basicsr.host.data.grids import known_degradation
from mg_basicsr.host.data.pairs import check_pairs
from mg_basicsr.host.data.proof import difference
from mg_basicsr.host.data.repeatable import check_repeatable
from mg_basicsr.host.data.whole_samples import check_frames
from mg_basicsr.host.log import logger
from mg_basicsr.parsing.problems import shown
from mg_basicsr.train_set import TrainSet, train_set_of


def our_dataset(train_set: TrainSet, store: str | None = None, degradation: str | None = None) -> ClipDataset | None:
    """Return this package's dataset for a training set; None if the host's own is adapted.

    Args:
        train_set: The training set.
        store: Crop store to read from; else the one that `io_backend` names, or the set's folders or LMDBs.
        degradation: Degradation that made LQ from GT, if the user says so; a store may record it too.

    Raises:
        ConfigError: a path does not exist, or the store does not fit the options.
        DataError: the data or the store is damaged.
    """
    options = train_set.options
    if options is None or train_set.kind is None:
        return None
    make = _class_of(train_set.kind)
    store = store or options.store
    if not store:
        return make(options.replace(degradation=degradation))
    source = open_store(store, options)
    dataset = make(options.replace(degradation=known_degradation(degradation, source.header)), source)
    source.check(dataset.keys.sequences, dataset.needed)
    for problem in differences(source, options, dataset.keys.sequences):
        logger().warning(f'multigrid: {problem}')
    return dataset


def _class_of(kind: DatasetType) -> Callable[..., ClipDataset]:
    module, _, name = kind.dataset.partition(':')
    found: Callable[..., ClipDataset] = getattr(import_module(module), name)
    return found


def planned_dataset(
    host_dataset: Any, prepared: ClipDataset | None, settings: Settings
) -> ClipDataset | AdaptedDataset:
    """Return the dataset of a run: ours where it is the host's equal, else the host's own, adapted.

    Args:
        host_dataset: The host's.
        prepared: Ours for its type, made at the run's start; None for a type of which we have none.
        settings: The run's.

    Raises:
        ConfigError: The block asks for what the dataset cannot follow, or samples of the host's dataset depend on what
            was read before.
    """
    name, rules = settings.train_set.name, settings.block.adapter
    # of our own registered types; the one that was prepared has the block's store as well
    reason = None
    if prepared is not None and not isinstance(host_dataset, ClipDataset):
        reason = difference(host_dataset, prepared)
    if prepared is not None and reason is None:
        if rules is not None:
            raise ConfigError(_unused_rules(name))
        return prepared
    if isinstance(host_dataset, ClipDataset):
        return host_dataset
    if reason is not None:
        _refuse_what_only_ours_can(settings, name, reason)
        module = type(host_dataset).__module__
        logger().warning(f"multigrid: {name} of {module} is not BasicSR's, and goes through the adapter: {reason}")
    base = host_dataset.base if isinstance(host_dataset, AdaptedDataset) else host_dataset
    adapted = AdaptedDataset(base, settings.baseline.scale, rules, settings.baseline.mirrored)
    check_pairs(adapted, settings.baseline.frames, settings.baseline.size)
    check_frames(adapted, settings.baseline.frames)
    check_repeatable(adapted, settings.baseline.frames, settings.baseline.size)
    return adapted


def _refuse_what_only_ours_can(settings: Settings, name: str, reason: str) -> None:
    """Check that no key is set that only our datasets can follow, where a class is not their equal.

    Raises:
        ConfigError: Some are; all are in one error.
    """
    block, options = settings.block, settings.train_set.options
    asked = {
        'multigrid.store': block.store,
        'multigrid.temporal_stride': block.temporal_stride,
        'multigrid.spatial_stride': block.spatial_stride,
        'datasets.train.io_backend.type': 'store' if options and options.store else None,
    }
    ours = 'MultigridVimeo90KDataset' if 'Vimeo' in name else 'MultigridREDSDataset'
    instead = 'remove it' if 'Image' in name else f'remove it, or set datasets.train.type: {ours} for our class'
    problems = [
        Problem(
            key,
            f'{shown(value)}, but {name} is another class here than that of BasicSR: {reason}',
            "allowed: with BasicSR's own classes and exact copies of them, and with ours",
            instead,
        )
        for key, value in asked.items()
        if value
    ]
    if problems:
        raise ConfigError(*problems)


def _unused_rules(name: str) -> Problem:
    return Problem(
        'multigrid.adapter',
        f'given, but {name} is read by our class, which delivers each shape itself',
        'allowed: with types that the adapter serves',
        f'remove it, or set datasets.train.type: MultigridDataset and base_type: {name}',
    )


def _registered(opt: dict[str, Any], name: str) -> ClipDataset:
    dataset = our_dataset(train_set_of({'scale': opt.get('scale'), 'datasets': {'train': {**opt, 'type': name}}}))
    assert dataset is not None
    dataset.opt = opt  # type: ignore[attr-defined]  # BasicSR's build_dataloader and train loops may read it
    return dataset


def MultigridREDSDataset(opt: dict[str, Any]) -> ClipDataset:
    """Return clips of a set in REDS's layout for recurrent networks; with `recurrent: false`, sliding windows."""
    return _registered(opt, 'MultigridREDSDataset')


def MultigridVimeo90KDataset(opt: dict[str, Any]) -> ClipDataset:
    """Return clips of a set in Vimeo-90K's layout for recurrent networks; with `recurrent: false`, sliding windows."""
    return _registered(opt, 'MultigridVimeo90KDataset')


def MultigridDataset(opt: dict[str, Any]) -> AdaptedDataset:
    """Return any registered dataset type, given as `base_type`, adapted to the plan's shapes.

    Raises:
        ConfigError: there is no `base_type`, or it is not registered.
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
    return AdaptedDataset(DATASET_REGISTRY.get(base_type)({**opt, 'type': base_type}), int(opt.get('scale') or 1))

"""Options that change training and not the plan: their record in checkpoints, compared on a resume."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from mg_basicsr.config.block import Block
from mg_basicsr.schedule.record import shown_change

# Sections and options that no training depends on, or that the plan's record has; models and data sets of a repository
# may read any other. Of `datasets`, only the training set is recorded.
PASSED_OVER = frozenset(
    {
        *('name', 'num_gpu', 'manual_seed', 'multigrid', 'path', 'val', 'logger', 'dist_params'),
        *('find_unused_parameters', 'use_static_graph'),
        # where clips are stored and how fast they are read
        *('datasets.train.name', 'datasets.train.num_worker_per_gpu', 'datasets.train.prefetch_mode'),
        *('datasets.train.pin_memory', 'datasets.train.num_prefetch_queue', 'datasets.train.persistent_workers'),
        *('datasets.train.dataroot_gt', 'datasets.train.dataroot_lq', 'datasets.train.dataroot_flow'),
        *('datasets.train.meta_info_file', 'datasets.train.io_backend', 'datasets.train.batch_size_per_gpu'),
        *('datasets.train.dataset_enlarge_ratio', 'datasets.train.use_shuffle'),  # a plan has one endless epoch
        *('train.total_iter', 'train.warmup_iter'),
    }
)
# keys of the block that change what a step computes
OF_THE_BLOCK = (
    *('precision', 'sub_batch_norm', 'degradation', 'adapter'),
    *('channels_last', 'fused_optimizer', 'compile', 'tf32', 'cudnn_benchmark'),
)
# what records of earlier versions have: only these sections, and no `scale`
EARLIER = ('datasets.train.', 'train.', 'network_', 'multigrid.')
LONGEST = 200  # characters of a text
MOST = 20  # changes that are listed

Record = dict[str, Any]


def option_record(options: Mapping[Any, Any], block: Block) -> Record:
    """Return the options that change training, by dotted path, as plain data.

    Args:
        options: The whole file, `--force_yml` applied.
        block: The block as read, defaults in place of what it leaves out.

    Returns:
        Numbers, text and lists, which can be saved with any checkpoint.
    """
    record: Record = {'scale': options.get('scale', 1)}
    for name, section in options.items():
        if name == 'datasets':
            section, name = (section or {}).get('train'), 'datasets.train'
        record.update(_flat(section, str(name)))
    for key in OF_THE_BLOCK:
        if hasattr(block, key):
            record[f'multigrid.{key}'] = _plain(getattr(block, key))
    return record


def option_changes(recorded: Mapping[str, Any], current: Mapping[str, Any]) -> list[str]:
    """List the differences between two records, `option old -> new`; at most `MOST`, and how many more there are.

    Keys of the block that only one of them has are passed over: another version of this package wrote it.

    Args:
        recorded: The older record, from a checkpoint.
        current: That of the present options.
    """
    changes = [
        f'{name} {shown_change(recorded.get(name), current.get(name))}' for name in edited_options(recorded, current)
    ]
    rest = len(changes) - MOST
    return changes if rest <= 0 else [*changes[:MOST], f'and {rest} more options']


def edited_options(recorded: Mapping[str, Any], current: Mapping[str, Any]) -> list[str]:
    """Return the dotted paths of the options that differ between two records, in the order of their names.

    Args:
        recorded: The older record, from a checkpoint.
        current: That of the present options.
    """
    names = sorted(recorded.keys() | current.keys())
    if 'scale' not in recorded:
        names = [name for name in names if name.startswith(EARLIER)]
    compared = (name for name in names if not name.startswith('multigrid.') or (name in recorded and name in current))
    return [name for name in compared if shown_change(recorded.get(name), current.get(name)) is not None]


def _flat(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if path in PASSED_OVER:
        return
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flat(item, f'{path}.{key}')
    elif isinstance(value, (list, tuple)) and any(isinstance(item, (Mapping, list, tuple)) for item in value):
        for number, item in enumerate(value):
            yield from _flat(item, f'{path}.{number}')
    else:
        yield path, _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = str(value)
    if len(text) <= LONGEST:
        return text
    return f'{text[:LONGEST]}... ({len(text)} characters, {hashlib.sha256(text.encode()).hexdigest()[:8]})'

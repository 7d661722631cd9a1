"""Options that change training and not the plan: their record in checkpoints, compared on a resume."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mg_basicsr.config.block import Block
from mg_basicsr.schedule.record import shown_change

SECTIONS = ('datasets.train', 'train')  # and each network
NETWORK = 'network_'
# options of these sections that change where clips are stored and how fast they are read, or that the plan's record has
PASSED_OVER = frozenset(
    {
        *('datasets.train.name', 'datasets.train.num_worker_per_gpu', 'datasets.train.prefetch_mode'),
        *('datasets.train.pin_memory', 'datasets.train.num_prefetch_queue', 'datasets.train.persistent_workers'),
        *('datasets.train.dataroot_gt', 'datasets.train.dataroot_lq', 'datasets.train.dataroot_flow'),
        *('datasets.train.meta_info_file', 'datasets.train.io_backend', 'datasets.train.batch_size_per_gpu'),
        *('train.total_iter', 'train.warmup_iter'),
    }
)
# keys of the block that change what a step computes
OF_THE_BLOCK = (
    *('precision', 'sub_batch_norm', 'degradation'),
    *('channels_last', 'fused_optimizer', 'compile', 'tf32', 'cudnn_benchmark'),
)
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
    record: Record = {}
    for name, section in options.items():
        if name == 'datasets':
            section, name = (section or {}).get('train'), 'datasets.train'
        if name in SECTIONS or (isinstance(name, str) and name.startswith(NETWORK)):
            record.update(_flat(section, name))
    record.update({f'multigrid.{key}': _plain(getattr(block, key)) for key in OF_THE_BLOCK if hasattr(block, key)})
    return record


def option_changes(recorded: Mapping[str, Any], current: Mapping[str, Any]) -> list[str]:
    """List the differences between two records, `option old -> new`; at most `MOST`, and how many more there are.

    Keys of the block that only one of them has are passed over: another version of this package wrote it.

    Args:
        recorded: The older record, from a checkpoint.
        current: That of the present options.
    """
    names = sorted(recorded.keys() | current.keys())
    compared = (name for name in names if not name.startswith('multigrid.') or (name in recorded and name in current))
    changes = [
        f'{name} {change}'
        for name in compared
        if (change := shown_change(recorded.get(name), current.get(name))) is not None
    ]
    rest = len(changes) - MOST
    return changes if rest <= 0 else [*changes[:MOST], f'and {rest} more options']


def _flat(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if path in PASSED_OVER:
        return
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flat(item, f'{path}.{key}')
    else:
        yield path, _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)[:LONGEST]

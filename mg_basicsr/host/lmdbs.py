"""Check that no LMDB of any data set was cut short: to read beyond its end would end the process with a signal."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from mg_basicsr.data.sources.byte_files import DATA, lmdb_fault
from mg_basicsr.errors import Problem
from mg_basicsr.host.needed import has_store


def lmdb_problems(options: Mapping[str, Any]) -> list[Problem]:
    """Return a problem for every LMDB that a data set names and that is damaged.

    The host reads validation sets, and sets of other classes, itself, and checks no size. So every text of a section
    that is the path of an LMDB counts, whatever its key.

    Args:
        options: Content of the options file.
    """
    datasets = options.get('datasets')
    problems: list[Problem] = []
    for name, section in datasets.items() if isinstance(datasets, Mapping) else ():
        if name == 'train' and isinstance(section, Mapping) and has_store(options, section):
            continue  # its LMDBs are compared with the store, and not trained from
        for option, path in _texts(section, f'datasets.{name}'):
            root = os.path.expanduser(path)
            fault = lmdb_fault(root) if os.path.isfile(os.path.join(root, DATA)) else ''
            if fault:
                needed = 'needed: an LMDB whose data.mdb is whole'
                problems.append(Problem(option, fault, needed, 'restore it from its source, or make it again'))
    return problems


def _texts(value: Any, option: str) -> Iterator[tuple[str, str]]:
    """Yield the dotted path and the value of every text that can be a path."""
    if isinstance(value, str) and value and '\0' not in value:
        yield option, value
    elif isinstance(value, Mapping):
        for key, below in value.items():
            yield from _texts(below, f'{option}.{key}')
    elif isinstance(value, (list, tuple)):
        for number, below in enumerate(value):
            yield from _texts(below, f'{option}.{number}')

"""Numbers that PyYAML reads as text: `1e-4` and `5e3` are numbers of YAML 1.2, but text in YAML 1.1; or quoted ones.

BasicSR converts no option, and an optimiser, a scheduler or the train loop would end with a traceback.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

NUMBER = re.compile(r'[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?')
SECTIONS = ('train', 'val', 'logger')  # and each network, by the start of its name
NETWORK = 'network_'
# words in the names of options whose value is a name or a path, also if it looks like a number
# fmt: off
NAMES = frozenset((
    'dir', 'file', 'folder', 'id', 'key', 'keys', 'label', 'labels', 'mode', 'name', 'names', 'path', 'paths',
    'project', 'root', 'suffix', 'tag', 'tags', 'tmpl', 'type',
))
# fmt: on
LARGEST = 2**53  # integers up to here are exact as floats


def as_number(text: str) -> int | float | str:
    """Return the number that a text is in YAML 1.2; a text that is none is returned unchanged.

    >>> as_number('1e-4'), as_number('5e3'), as_number('5.e0'), as_number('many')
    (0.0001, 5000, 5.0, 'many')
    """
    if not NUMBER.fullmatch(text):
        return text
    value = float(text)
    if '.' in text or value != value // 1 or abs(value) > LARGEST:
        return value
    return int(value)


def convert_numbers(options: Mapping[Any, Any]) -> None:
    """Put numbers in place of such text in the sections where BasicSR calculates, in place.

    >>> options = {'name': '1e3', 'train': {'optim_g': {'type': 'Adam', 'weight_decay': '1e-4'}}}
    >>> convert_numbers(options)
    >>> options
    {'name': '1e3', 'train': {'optim_g': {'type': 'Adam', 'weight_decay': 0.0001}}}

    Args:
        options: The whole file. Names and paths stay unchanged.
    """
    for name, section in options.items():
        if isinstance(name, str) and (name in SECTIONS or name.startswith(NETWORK)):
            _convert(section, set())


def _convert(section: Any, seen: set[int]) -> None:
    if id(section) in seen:
        return
    seen.add(id(section))
    for key, value in _items(section):
        if isinstance(value, str):
            section[key] = as_number(value)
        else:
            _convert(value, seen)


def _items(section: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(section, list):
        yield from enumerate(section)
    elif isinstance(section, MutableMapping):
        yield from ((key, value) for key, value in list(section.items()) if not NAMES.intersection(_words(key)))


def _words(key: Any) -> list[str]:
    return re.split(r'[^a-z]+', str(key).lower())

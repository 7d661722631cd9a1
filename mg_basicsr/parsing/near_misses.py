"""Keys that are meant to be the `multigrid:` block and are not: misspelled, or in another section.

A file without the block trains as BasicSR would, so that such a key would switch the plan off without a word.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

from mg_basicsr.errors import ConfigError, Problem

NAME = 'multigrid'
SIMILAR = 0.8  # ratio of difflib: `multigird` has 0.89, `multi_gpu` 0.71
_LEVELS = 40  # far deeper than any options file


def refuse_near_misses(options: Mapping[Any, Any]) -> None:
    """Raise an error for keys that are nearly the block.

    >>> refuse_near_misses({'multigrid': {'preset': 'lin2022'}})
    >>> refuse_near_misses({'train': {'multigrid': {'preset': 'lin2022'}}})
    Traceback (most recent call last):
    mg_basicsr.errors.ConfigError: train.multigrid: the block is in another section
      allowed: multigrid as a key of the whole file, not indented
      move it to the end of the file, without indentation

    Raises:
        ConfigError: with each of them.
    """
    problems = [_misspelled(key) for key in options if key != NAME and _is_near(key)]
    problems += [
        Problem(
            path,
            'the block is in another section',
            f'allowed: {NAME} as a key of the whole file, not indented',
            'move it to the end of the file, without indentation',
        )
        for key, value in options.items()
        if key != NAME and not _is_near(key)
        for path in _blocks_below(value, str(key), _LEVELS)
    ]
    if problems:
        raise ConfigError(*problems)


def _misspelled(key: Any) -> Problem:
    return Problem(
        f'{key}',
        f'no such section; did you mean {NAME}?',
        f'allowed: {NAME}, in lower case',
        f'rename it to {NAME}, or to a name that is not like it',
    )


def _is_near(key: Any) -> bool:
    if not isinstance(key, str):
        return False
    plain = ''.join(filter(str.isalnum, unicodedata.normalize('NFKC', key).casefold()))
    return NAME in plain or difflib.SequenceMatcher(None, plain, NAME).ratio() >= SIMILAR


def _blocks_below(value: Any, path: str, levels: int) -> Iterator[str]:
    """Yield the dotted paths of what looks like a block; networks have lists and numbers under such names."""
    if not levels:
        return
    if isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _blocks_below(item, f'{path}[{index}]', levels - 1)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            here = f'{path}.{key}'
            if _is_near(key) and (isinstance(item, Mapping) or (key == NAME and isinstance(item, (str, type(None))))):
                yield here
            else:
                yield from _blocks_below(item, here, levels - 1)

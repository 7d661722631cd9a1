"""Keys that are meant to be the `multigrid:` block and are not: misspelled, or in another section.

A file without the block trains as BasicSR would, so that such a key would switch the plan off without a word. Keys of a
repository's own may have similar names: what cannot be a block, a number or a section with a `type`, is left alone, and
so is what only begins like it (`multigrid_loss`), unless it holds a preset.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mg_basicsr.errors import ConfigError, Problem

NAME = 'multigrid'
PACKAGE = 'mgbasicsr'  # somebody may name the block after the package
SIMILAR = 0.8  # ratio of difflib: `multigird` has 0.89, `multi_gpu` 0.71
SAME = 0.85  # the same word, misspelled: `multgrid` has 0.94, `multigrid_loss` 0.82
# the likeliest of such keys, for JSON schemas
NEAR_PATTERN = r'^(?!multigrid$)[\W_]*[mM][uU][lL][tT][iI][\W_]*[gG]([rR][iI]|[iI][rR])[dD][sS]?[\W_]*$'
NETWORK = 'network_'  # sections whose keys are arguments of a network, of any name
_LEVELS = 40  # far deeper than any options file

_KEY_IN_TEXT = re.compile(r'([^\s:{}\[\],][^:{}\[\],\n]*?)[\s"\']*:(?=\s|$)')

MISPLACED = (
    'the block is in another section',
    f'allowed: {NAME} as a key of the whole file, not indented',
    'move it to the end of the file, without indentation',
)


def refuse_near_misses(options: Mapping[Any, Any], overwritten: Iterable[tuple[str, Any]] = ()) -> None:
    """Raise an error for keys that are nearly the block.

    >>> refuse_near_misses({'multigrid': {'preset': 'lin2022'}})
    >>> refuse_near_misses({'train': {'multigrid': {'preset': 'lin2022'}}})
    Traceback (most recent call last):
    mg_basicsr.errors.ConfigError: train.multigrid: the block is in another section
      allowed: multigrid as a key of the whole file, not indented
      move it to the end of the file, without indentation

    Args:
        options: The whole file.
        overwritten: Dotted paths and values of keys that the file has a second time, so that `options` lacks the first.

    Raises:
        ConfigError: with each of them.
    """
    problems = [_misspelled(key) for key, value in options.items() if _is_misspelled(key, value)]
    problems += [
        Problem(path, *MISPLACED)
        for key, value in options.items()
        if key != NAME and not _is_misspelled(key, value)
        for path in _blocks_below(value, str(key), _is_network(key), _LEVELS)
    ]
    for path, value in overwritten:
        section, _, key = path.rpartition('.')
        if section and _is_block_below(key, value, _is_network(path)):
            problems.append(Problem(path, *MISPLACED))
        elif path != NAME:
            inside = _blocks_below(value, path, _is_network(path), _LEVELS)
            problems += [_misspelled(path)] if not section and _is_misspelled(path, value) else []
            problems += [Problem(each, *MISPLACED) for each in inside]
    if problems:
        raise ConfigError(*dict.fromkeys(problems))


def _is_network(path: Any) -> bool:
    return str(path).startswith(NETWORK)


def _is_misspelled(key: Any, value: Any) -> bool:
    """Return whether a key of the whole file is the block under another name."""
    return key != NAME and is_near(key) and _may_be_block(value)


def _misspelled(key: Any) -> Problem:
    return Problem(
        f'{key}',
        f'no such section; did you mean {NAME}?',
        f'allowed: {NAME}, in lower case',
        f'rename it to {NAME}, or to a name that is not like it',
    )


def is_near(key: Any) -> bool:
    """Return whether a key is nearly the block's name, whatever its case, spaces, and look-alike characters."""
    if not isinstance(key, str):
        return False
    plain = _plain(key)
    similar = difflib.SequenceMatcher(None, plain, NAME).ratio() >= SIMILAR
    return NAME in plain or plain == PACKAGE or similar


def _plain(key: str) -> str:
    """Return the letters and digits of a key, in lower case."""
    return ''.join(filter(str.isalnum, unicodedata.normalize('NFKC', key).casefold()))


def _is_same(key: str) -> bool:
    """Return whether a key is the block's name, or a misspelling of it."""
    plain = _plain(key)
    return plain == PACKAGE or difflib.SequenceMatcher(None, plain, NAME).ratio() >= SAME


def _may_be_block(value: Any) -> bool:
    """Return whether a value could be meant as the block: a section, nothing yet, a text, or a list with one of these.

    Sections with a `type` are those of networks, losses and data sets of a repository.
    """
    if isinstance(value, Mapping):
        return 'type' not in value
    if isinstance(value, (list, tuple)):
        return not value or any(isinstance(item, (Mapping, str)) and _may_be_block(item) for item in value)
    return value is None or isinstance(value, str)


def _is_block_below(key: Any, value: Any, in_network: bool) -> bool:
    """Return whether a key of another section is the block. Networks have arguments under such names."""
    if not is_near(key) or not _may_be_block(value):
        return False
    if _names_preset(value):
        return True
    if in_network:
        return not value and _is_same(key)
    return _is_same(key) or (isinstance(value, Mapping) and bool(value))


def _names_preset(value: Any) -> bool:
    """Return whether a section, a text or an item of a list names a preset."""
    if isinstance(value, (list, tuple)):
        return any(isinstance(item, (Mapping, str)) and 'preset' in item for item in value)
    return isinstance(value, (Mapping, str)) and 'preset' in value


def _is_block_as_text(text: str) -> bool:
    """Return whether a text holds the block, as one that is indented below `key: |` does."""
    return 'preset' in text and any(_is_same(key) for key in _KEY_IN_TEXT.findall(text))


def _blocks_below(value: Any, path: str, in_network: bool, levels: int) -> Iterator[str]:
    """Yield the dotted paths of what looks like a block."""
    if not levels:
        return
    if isinstance(value, str):
        if _is_block_as_text(value):
            yield path
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _blocks_below(item, f'{path}[{index}]', in_network, levels - 1)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            here = f'{path}.{key}'
            if _is_block_below(key, item, in_network):
                yield here
            else:
                yield from _blocks_below(item, here, in_network, levels - 1)

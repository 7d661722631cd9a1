"""Keys of a block, or the name of a preset, in a section that is not the block.

The line `multigrid:` above them is missing or is a comment, or is among the arguments of a network.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from mg_basicsr.config.keys import needed
from mg_basicsr.config.presets.table import find, loaded
from mg_basicsr.errors import ConfigError, Problem
from mg_basicsr.parsing.near_misses import is_near

_LEVELS = 40  # far deeper than any options file


def refuse_stray_block(options: Mapping[Any, Any]) -> None:
    """Raise an error for sections that name a preset and have the keys that it needs, and for near names of the block.

    >>> refuse_stray_block({'dist_params': {'backend': 'nccl', 'preset': 'lin2022'}})
    Traceback (most recent call last):
    mg_basicsr.errors.ConfigError: dist_params.preset: lin2022 is a preset of the multigrid block, which the file lacks
      needed: the line `multigrid:` above it, not indented
      add this line, or remove the keys of the block

    Args:
        options: The whole file, without the block.

    Raises:
        ConfigError: with each of them.
    """
    problems = [
        Problem(
            path,
            f'{what} of the multigrid block, which the file lacks',
            'needed: the line `multigrid:` above it, not indented',
            'add this line, or remove the keys of the block',
        )
        for path, what in _strays(options, '', _LEVELS)
    ]
    if problems:
        raise ConfigError(*problems)


def _strays(section: Any, path: str, levels: int) -> Iterator[tuple[str, str]]:
    """Yield path and description of what is of a block below a section."""
    if not levels:
        return
    if isinstance(section, (list, tuple)):
        for index, item in enumerate(section):
            yield from _strays(item, f'{path}[{index}]', levels - 1)
    elif isinstance(section, Mapping):
        name = section.get('preset')
        if isinstance(name, str) and _is_preset(name):
            preset = find(name)
            if preset is not None and needed(preset.block) <= section.keys():
                yield f'{path}.preset'.lstrip('.'), f'{name} is a preset'
        for key, item in section.items():
            here = f'{path}.{key}'.lstrip('.')
            if is_near(key) and (what := _part_of_block(item)):
                yield here, what
            yield from _strays(item, here, levels - 1)


def _part_of_block(value: Any) -> str:
    """Return what a value under a near name of the block has of one: a preset's name, or keys; empty if nothing."""
    parts = (
        [value.get('type')] if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else [value]
    )
    names = [part for part in parts if _is_preset(part)]
    if names:
        return f'{names[0]} is a preset'
    keys = {field.name for preset in loaded() for field in fields(preset.block)}
    if isinstance(value, Mapping) and value and value.keys() < keys - {'preset'}:
        return f'{", ".join(map(str, value))}: {"a key" if len(value) == 1 else "keys"}'
    return ''


def _is_preset(name: Any) -> bool:
    return isinstance(name, str) and name in {preset.name for preset in loaded()}

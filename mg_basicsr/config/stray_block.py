"""Keys of a block in a section that is not the block: its line `multigrid:` is missing, or is a comment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mg_basicsr.config.keys import needed
from mg_basicsr.config.presets.table import find, loaded
from mg_basicsr.errors import ConfigError, Problem

_LEVELS = 40  # far deeper than any options file


def refuse_stray_block(options: Mapping[Any, Any]) -> None:
    """Raise an error for sections that name a preset and have the keys that it needs.

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
            f'{name} is a preset of the multigrid block, which the file lacks',
            'needed: the line `multigrid:` above it, not indented',
            'add this line, or remove the keys of the block',
        )
        for path, name in _strays(options, '', _LEVELS)
    ]
    if problems:
        raise ConfigError(*problems)


def _strays(section: Any, path: str, levels: int) -> Iterator[tuple[str, str]]:
    """Yield path and name of presets below a section."""
    if not levels:
        return
    if isinstance(section, (list, tuple)):
        for index, item in enumerate(section):
            yield from _strays(item, f'{path}[{index}]', levels - 1)
    elif isinstance(section, Mapping):
        name = section.get('preset')
        known = {preset.name for preset in loaded()}
        if isinstance(name, str) and name in known:
            preset = find(name)
            if preset is not None and needed(preset.block) <= section.keys():
                yield f'{path}.preset'.lstrip('.'), name
        for key, item in section.items():
            yield from _strays(item, f'{path}.{key}'.lstrip('.'), levels - 1)

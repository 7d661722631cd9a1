"""Reading of the `multigrid:` block of an options file into its preset's block class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from mg_basicsr.config.block import Block
from mg_basicsr.config.keys import needed, readers
from mg_basicsr.config.presets.table import find, loaded, names
from mg_basicsr.parsing.problems import Problems, shown
from mg_basicsr.parsing.values import choice


def read_block(section: Any, problems: Problems, partial: bool = False) -> Block | None:
    """Read the block of an options file. A value of `~` means the default.

    Args:
        section: The value of `multigrid` in the file.
        problems: Collection to which every problem is added.
        partial: Whether a value that could not be read is replaced by its default, so that the others can be checked.

    Returns:
        An instance of the preset's block class; None if a value could not be read. With `partial`, None only if the
        preset is not known, or a key without a default could not be read.
    """
    if not isinstance(section, Mapping):
        what = f'{shown(section)} is not a section'
        problems.add('multigrid', what, 'allowed: keys such as preset', 'write preset: lin2022 below it')
        return None
    asked = section.get('preset')
    preset = find(asked) if isinstance(asked, str) else None
    used_by = _users()
    problems.unknown_keys('multigrid', section, used_by)
    if preset is None:
        problems.parse('multigrid.preset', asked, choice(*names()), None)
    # Without a preset the common keys are read anyway, so that their problems are reported in the same error.
    before, block = len(problems.found), preset.block if preset else Block
    values = _read_values(section, block, problems)
    if preset is None:
        return None
    failed = len(problems.found) > before
    for name, value in section.items():
        if value is not None and preset.name not in used_by.get(name, [preset.name]):
            problems.add(
                f'multigrid.{name}',
                f'not used by preset {preset.name} (value {shown(value)})',
                'used by: ' + ', '.join(used_by[name]),
                'remove it',
            )
    read = {name: value for name, value in values.items() if value is not None}
    if (failed and not partial) or not needed(block) <= {'preset', *read}:
        return None
    block_read: Block = preset.block(preset=preset.name, **read)
    return block_read


def _users() -> dict[str, list[str]]:
    """Return every key that some preset has, with the names of the presets that have it."""
    used_by: dict[str, list[str]] = {}
    for preset in loaded():
        for spec in fields(preset.block):
            used_by.setdefault(spec.name, []).append(preset.name)
    return used_by


def _read_values(section: Mapping[Any, Any], block: type[Block], problems: Problems) -> dict[str, Any]:
    """Read the keys of a block class from a section; None for those that could not be read, or are missing."""
    required = needed(block)
    return {
        name: read(f'multigrid.{name}', section.get(name), problems)
        for name, read in readers(block).items()
        if section.get(name) is not None or name in required
    }

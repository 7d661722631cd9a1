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


def read_block(section: Any, problems: Problems) -> Block | None:
    """Read the block of an options file. A value of `~` means the default.

    Args:
        section: The value of `multigrid` in the file.
        problems: Collection to which every problem is added.

    Returns:
        An instance of the preset's block class; None if a value could not be read.
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
    values = _read_values(section, preset.block if preset else Block, problems)
    if preset is None:
        return None
    for name, value in section.items():
        if value is not None and preset.name not in used_by.get(name, [preset.name]):
            problems.add(
                f'multigrid.{name}',
                f'not used by preset {preset.name} (value {shown(value)})',
                'used by: ' + ', '.join(used_by[name]),
                'remove it',
            )
    return None if values is None else preset.block(preset=preset.name, **values)


def _users() -> dict[str, list[str]]:
    """Return every key that some preset has, with the names of the presets that have it."""
    used_by: dict[str, list[str]] = {}
    for preset in loaded():
        for spec in fields(preset.block):
            used_by.setdefault(spec.name, []).append(preset.name)
    return used_by


def _read_values(section: Mapping[Any, Any], block: type[Block], problems: Problems) -> dict[str, Any] | None:
    """Read the keys of a block class from a section; None if one could not be read, or a required one is missing."""
    before, required = len(problems.found), needed(block)
    values = {
        name: read(f'multigrid.{name}', section.get(name), problems)
        for name, read in readers(block).items()
        if section.get(name) is not None or name in required
    }
    return None if len(problems.found) > before else values

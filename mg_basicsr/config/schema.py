"""JSON schema of options files with the block, made from the keys of the presets themselves.

Editors complete and check a file by it. It accepts what `mg-basicsr plan` accepts of types, names and ranges; how keys
relate to each other and to the rest of the file, only `plan` knows. In JSON 1 and 1.0 are the same, and so
they are here.
"""

from __future__ import annotations

import json
import re
from dataclasses import MISSING, fields
from fractions import Fraction
from pathlib import Path
from typing import Any

from mg_basicsr._version import __version__
from mg_basicsr.config.keys import descriptions, key_schema, needed, readers
from mg_basicsr.config.presets.preset import Preset
from mg_basicsr.config.presets.table import find, names
from mg_basicsr.parsing.near_misses import NEAR_PATTERN
from mg_basicsr.parsing.plain_files import read_plain_file
from mg_basicsr.parsing.values import Schema

DIALECT = 'https://json-schema.org/draft/2020-12/schema'
TITLE = 'BasicSR options file with a multigrid block'


def file_schema() -> Schema:
    """Return the schema of a whole options file. BasicSR's own options are not described, and all accepted.

    Raises:
        ConfigError: the package of a preset cannot be imported.
    """
    return {
        '$schema': DIALECT,
        'title': f'{TITLE} (mg-basicsr {__version__})',
        'type': 'object',
        'properties': {'multigrid': block_schema()},
        'patternProperties': {NEAR_PATTERN: False},
    }


def block_schema() -> Schema:
    """Return the schema of the block: its keys by preset.

    Raises:
        ConfigError: the package of a preset cannot be imported.
    """
    presets = [preset for name in names() if (preset := find(name)) is not None]
    listed = '; '.join(f'{preset.name}: {preset.summary}' for preset in presets)
    return {
        'type': 'object',
        'description': 'Plan of the run: shape of the mini-batch and learning rate as functions of the iteration',
        'properties': {'preset': {'enum': [preset.name for preset in presets], 'description': listed}},
        'required': ['preset'],
        'allOf': [
            {
                'if': {'properties': {'preset': {'const': preset.name}}, 'required': ['preset']},
                'then': _preset_schema(preset, presets),
            }
            for preset in presets
        ],
    }


def _preset_schema(preset: Preset[Any], presets: list[Preset[Any]]) -> Schema:
    """Return the schema of the block of one preset. Keys of the others may stand in it with `~`."""
    required, meanings, keys = needed(preset.block), descriptions(preset.block), readers(preset.block)
    defaults = {spec.name: _plain(spec.default) for spec in fields(preset.block) if spec.default is not MISSING}
    properties: dict[str, Schema] = {'preset': {'const': preset.name}}
    for name, reader in keys.items():
        properties[name] = key_schema(reader, meanings.get(name, ''), required=name in required)
        if defaults.get(name) is not None:
            properties[name]['default'] = defaults[name]
    others = sorted(set().union(*(readers(other.block) for other in presets)) - keys.keys())
    return {
        'properties': properties,
        'required': sorted(required - {'preset'}),
        'additionalProperties': False,
        **({'patternProperties': {f'^({"|".join(map(re.escape, others))})$': {'type': 'null'}}} if others else {}),
    }


def _plain(value: Any) -> Any:
    """Return a default as it would be written in YAML; a switched-off cycle is `false`."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value] or False
    return float(value) if isinstance(value, Fraction) else value


def is_schema(path: Path) -> bool:
    """Return whether a file holds a schema of this package."""
    try:
        schema = json.loads(read_plain_file(path))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(schema, dict) and str(schema.get('title')).startswith(TITLE)

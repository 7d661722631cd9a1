"""Declaration of keys of a block: a dataclass field with a reader, and with a default unless the key is required.

@dataclass(frozen=True, kw_only=True)
class MyBlock(Block):
    share: float = key(positive, 0.5)  # optional
    sizes: tuple[int, ...] = key(COUNTS)  # required
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, field, fields
from typing import Any

from mg_basicsr.parsing.problems import Reader, reads
from mg_basicsr.parsing.values import (
    MOST_CLIPS,
    Parser,
    Schema,
    any_of,
    fraction_or_count,
    integer,
    list_of,
    schema_of,
)

COUNT = integer(1)
CLIPS = integer(1, MOST_CLIPS)
COUNTS = list_of(COUNT, 'a list of integers >= 1')
# `name: text`, which may go on in lines that are indented further
ATTRIBUTE = re.compile(r'^ +(\w+): (.+(?:\n {12,}.+)*)', re.MULTILINE)

FRACTIONS = list_of(fraction_or_count, 'a list of fractions such as [0.5, 1.0], or of whole numbers above 1')


def key(parser: Parser[Any], default: Any = MISSING) -> Any:
    """Declare a key with a single value or a list.

    Args:
        parser: Converts the value from YAML to the field's type; see parsing/values.py.
        default: Value if the key is absent or `~`; without one the key is required.

    Returns:
        A dataclass field.
    """
    return section_key(reads(parser), default)


def section_key(reader: Reader, default: Any = MISSING) -> Any:
    """Declare a key whose value is a section or a list of sections, with problems at the path of each entry.

    Args:
        reader: Called with the dotted path, the value and the problems; returns None after adding a problem.
        default: See `key`.

    Returns:
        A dataclass field.
    """
    return field(default=default, metadata={'reader': reader})


def readers(block: type) -> dict[str, Reader]:
    """Return the reader of each key of a block class, by name; the field `preset` has none."""
    return {spec.name: spec.metadata['reader'] for spec in fields(block) if 'reader' in spec.metadata}


def needed(block: type) -> set[str]:
    """Return the names of the keys without a default."""
    return {spec.name for spec in fields(block) if spec.default is MISSING}


def section_schema(keys: Mapping[str, Reader], required: Iterable[str], described: type) -> Schema:
    """Return the JSON schema of a section that `read_section` reads.

    Args:
        keys: Reader of each key.
        required: Keys that it must have.
        described: Class whose docstring describes the keys.
    """
    needed_keys, meanings = list(required), descriptions(described)
    return {
        'type': 'object',
        'properties': {
            name: key_schema(reader, meanings.get(name, ''), required=name in needed_keys)
            for name, reader in keys.items()
        },
        'required': needed_keys,
        'additionalProperties': False,
    }


def key_schema(reader: Reader, description: str, *, required: bool) -> Schema:
    """Return the JSON schema of a key's value; `~` means the default of one that is not required.

    Args:
        reader: Reader of the key.
        description: Meaning of the key; empty if it is not known.
        required: Whether the key is required.
    """
    schema = schema_of(reader)
    if schema and not required:
        schema = any_of(schema, {'type': 'null'})
    return {'description': description, **schema} if description else schema


def descriptions(block: type) -> dict[str, str]:
    """Return what the class of a block says of each key, from the `Attributes:` of its docstring and its bases'.

    They are missing where Python runs without docstrings.
    """
    found: dict[str, str] = {}
    for each in reversed(block.__mro__):
        _, _, attributes = (each.__doc__ or '').partition('Attributes:')
        for match in ATTRIBUTE.finditer(attributes):
            found[match[1]] = ' '.join(match[2].split()).rstrip('.')
    return found

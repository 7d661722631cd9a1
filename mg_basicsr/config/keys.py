"""How a key of the block is declared: a dataclass field with a reader, and with a default unless the key is needed.

@dataclass(frozen=True, kw_only=True)
class MyBlock(Block):
    share: float = key(positive, 0.5)  # optional
    sizes: tuple[int, ...] = key(COUNTS)  # needed
"""

from __future__ import annotations

from dataclasses import MISSING, field, fields
from typing import Any

from mg_basicsr.parsing.problems import Reader, reads
from mg_basicsr.parsing.values import MOST_CLIPS, Parser, fraction_or_count, integer, list_of

COUNT = integer(1)
CLIPS = integer(1, MOST_CLIPS)
COUNTS = list_of(COUNT, 'a list of integers >= 1')
FRACTIONS = list_of(fraction_or_count, 'a list of fractions such as [0.5, 1.0], or of whole numbers above 1')


def key(parser: Parser[Any], default: Any = MISSING) -> Any:
    """Declare a key with a single value or a list.

    Args:
        parser: Turns the value from YAML into the field's type; see parsing/values.py.
        default: The value where the key is absent or `~`; without one the key is needed.

    Returns:
        A dataclass field.
    """
    return section_key(reads(parser), default)


def section_key(reader: Reader, default: Any = MISSING) -> Any:
    """Declare a key whose value has keys or entries of its own, each with problems at its own path.

    Args:
        reader: Called with the dotted path, the value and the problems; returns None after adding a problem.
        default: As for `key`.

    Returns:
        A dataclass field.
    """
    return field(default=default, metadata={'reader': reader})


def readers(block: type) -> dict[str, Reader]:
    """Reader of each key of a block class, by name; its field `preset` has none."""
    return {spec.name: spec.metadata['reader'] for spec in fields(block) if 'reader' in spec.metadata}


def needed(block: type) -> set[str]:
    """Names of the keys that have no default."""
    return {spec.name for spec in fields(block) if spec.default is MISSING}

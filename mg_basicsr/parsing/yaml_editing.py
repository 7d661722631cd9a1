"""Replacement of single values in the text of a YAML file: comments, order and every other character stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from mg_basicsr.parsing.yaml_text import parse_yaml
from mg_basicsr.parsing.yaml_writing import one_line


def with_values(text: str, section: Sequence[str], values: Mapping[str, Any]) -> str | None:
    r"""Return a YAML text with other values for some keys of a section; keys that it lacks are left out.

    >>> with_values('a:\n  b: [1, 2]  # two\n  c: 3\n', ['a'], {'b': [5], 'd': 6})
    'a:\n  b: [5]  # two\n  c: 3\n'

    Args:
        text: One YAML document.
        section: Keys on the way to the section.
        values: The new values.

    Returns:
        The new text; None where it would say something else than that: values that aliases share, or merge keys.
    """
    expected = parse_yaml(text)
    target, node = expected, yaml.compose(text, Loader=yaml.SafeLoader)
    for key in section:
        target, node = target[key], _child(node, key)
    changes = {key: value for key, value in values.items() if key in target}
    places = [(_child(node, key), value) for key, value in changes.items()]
    if any(place is None for place, _ in places):
        return None
    for place, value in sorted(places, key=lambda item: item[0].start_mark.index, reverse=True):
        indent = '  ' if _is_block(place) else ''  # items of a list may stand below the key's first letter, a value not
        text = text[: place.start_mark.index] + indent + one_line(value) + text[_end(place) :]
    target.update(changes)
    try:
        return text if parse_yaml(text) == expected else None
    except yaml.YAMLError:
        return None


def _child(node: Any, key: str) -> Any:
    """Return the node of a key's value, of the last if it occurs twice; None if it is not in the section itself."""
    found = [value for name, value in node.value if name.value == key] if isinstance(node, yaml.MappingNode) else []
    return found[-1] if found else None


def _is_block(node: Any) -> bool:
    return isinstance(node, yaml.CollectionNode) and not node.flow_style


def _end(node: Any) -> int:
    """Return the index behind a value; a list in block style ends with its last item, not where the next key starts."""
    if _is_block(node) and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)

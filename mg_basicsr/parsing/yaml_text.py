"""Untrusted YAML: read in bounded time and memory, with a list of the keys that a section repeats."""

from __future__ import annotations

from typing import Any, NamedTuple, NoReturn

import yaml

# libyaml's loader is ten times faster; PyYAML may have been built without it
Loader: Any = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)

MOST_VALUES = 100_000  # with every alias written out, as the host does when it prints its options
MERGE = 'tag:yaml.org,2002:merge'


class RepeatedKey(NamedTuple):
    """Key that occurs twice in one section.

    Attributes:
        path: Its dotted path.
        first: Line of the first occurrence, from 1.
        second: Line of the second.
    """

    path: str
    first: int
    second: int


class Document(NamedTuple):
    """YAML document.

    Attributes:
        value: Its value.
        repeated: Keys that occur twice in a section; the last occurrence counts.
        merges: Whether it has merge keys (`<<`).
        overwritten: Dotted paths and values of keys of which a later occurrence counts.
    """

    value: Any
    repeated: tuple[RepeatedKey, ...]
    merges: bool
    overwritten: tuple[tuple[str, Any], ...] = ()


def parse_yaml(text: str) -> Any:
    """Return the value of the one YAML document of a text; raises as `parse_document` does.

    >>> parse_yaml('a: [1, true, ~]')
    {'a': [1, True, None]}
    """
    return parse_document(text).value


def parse_document(text: str) -> Document:
    """Read the one YAML document of a text. `yaml.load` is not used: it is replaced while the host trains.

    Raises:
        yaml.YAMLError: It is not YAML, a value is not what its tag or its form says (`2024-13-01` is no date), a text
            has a NUL in it, or aliases make it endless or larger than `MOST_VALUES`.
    """
    loader = Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return Document(None, (), False)
        walk = _Walk()
        walk.size(node)
        walk.keys(node, '')
        value = loader.construct_document(node)
        overwritten = tuple((path, loader.construct_document(first)) for path, first in walk.overwritten)
        return Document(value, tuple(walk.repeated), walk.merges, overwritten)
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:  # PyYAML lets these through
        raise yaml.YAMLError(str(error) or type(error).__name__) from None
    finally:
        loader.dispose()


class _Walk:
    """Walk over the nodes of a document. Each is visited once, however many aliases it has."""

    def __init__(self) -> None:
        self.repeated: list[RepeatedKey] = []
        self.overwritten: list[tuple[str, Any]] = []
        self.merges = False
        self._sizes: dict[int, int] = {}
        self._open: set[int] = set()
        self._seen: set[int] = set()

    def size(self, node: Any) -> int:
        """Count the values below a node, with every alias written out.

        Raises:
            yaml.YAMLError: They are too many, or without end; or a text has a NUL in it.
        """
        known = self._sizes.get(id(node))
        if known is not None:
            return known
        if id(node) in self._open:
            _refuse('an alias of a value within this value', node)
        if isinstance(node, yaml.ScalarNode):
            if '\0' in node.value:
                _refuse('a NUL character in a text', node)
            total = 1
        else:
            self._open.add(id(node))
            total = 1 + sum(self.size(child) for child in _children(node))
            self._open.remove(id(node))
        if total > MOST_VALUES:
            _refuse(f'more than {MOST_VALUES:,} values, with every alias written out', node)
        self._sizes[id(node)] = total
        return total

    def keys(self, node: Any, path: str) -> None:
        """Note repeated keys and merge keys below a node.

        Args:
            node: A node of the document.
            path: Its dotted path; empty for the root.
        """
        if id(node) in self._seen or isinstance(node, yaml.ScalarNode):
            return
        self._seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self.keys(item, f'{path}[{index}]')
            return
        found: dict[tuple[str, str], tuple[int, Any]] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            self.merges = self.merges or key.tag == MERGE
            name, line = f'{path}.{key.value}' if path else key.value, key.start_mark.line + 1
            if (key.tag, key.value) in found:
                first, overwritten = found[key.tag, key.value]
                self.repeated.append(RepeatedKey(name, first, line))
                self.overwritten.append((name, overwritten))
            found[key.tag, key.value] = (found.get((key.tag, key.value), (line,))[0], value)
            self.keys(value, name)


def _children(node: Any) -> list[Any]:
    return node.value if isinstance(node, yaml.SequenceNode) else [part for pair in node.value for part in pair]


def _refuse(problem: str, node: Any) -> NoReturn:
    raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)

"""Recognise the dataset classes of released BasicSR versions by their source, and the functions that they call."""

from __future__ import annotations

import ast
import hashlib
import inspect
import sys
import textwrap
from collections.abc import Iterator, Mapping
from types import FunctionType, ModuleType
from typing import Any

# Fingerprints of the classes as released with BasicSR 1.3.4.9 to 1.4.2, which deliver the samples that ours do.
RELEASED: Mapping[str, frozenset[str]] = {
    'REDSDataset': frozenset({'8df66609606b323a'}),
    'REDSRecurrentDataset': frozenset({'814966a61c478d14'}),
    'Vimeo90KDataset': frozenset({'4f85ddcf3b355a69'}),
    'Vimeo90KRecurrentDataset': frozenset({'699a98ee8d711be5'}),
    'PairedImageDataset': frozenset({'b3952f1ce8934c17', 'c5dd5a0d66847244'}),
}

# Attributes that every class has, or that say nothing about what it does.
_BOILERPLATE = (
    '__module__',
    '__doc__',
    '__dict__',
    '__weakref__',
    '__parameters__',
    '__annotations__',
    '__orig_bases__',
)
_BOILERPLATE_3_13 = ('__firstlineno__', '__static_attributes__')

# Used by the classes, without influence on a sample.
_LOGGING = ('get_root_logger',)


def own_datasets() -> frozenset[str]:
    """Return the names of BasicSR's datasets under which this process has registered other classes.

    Empty before basicsr has been imported; a name that stands for a released class is not among them.
    """
    return frozenset(name for name in RELEASED if (cls := _registered(name)) is not None and not is_released(cls))


def _registered(name: str) -> type | None:
    """Return the dataset class of a name: of the registry or, up to BasicSR 1.2, of the modules of basicsr.data."""
    registry = getattr(sys.modules.get('basicsr.utils.registry'), 'DATASET_REGISTRY', None)
    if registry is not None:
        found = next((registry.get(key) for key in (name, f'{name}_basicsr') if key in registry), None)
    else:
        modules = getattr(sys.modules.get('basicsr.data'), '_dataset_modules', ())
        found = next((getattr(module, name) for module in modules if hasattr(module, name)), None)
    return found if isinstance(found, type) else None


def is_released(cls: type) -> bool:
    """Return whether a class, under the name of one of BasicSR's datasets, is that of a released version.

    Args:
        cls: The class of the host's dataset.
    """
    known = RELEASED.get(cls.__name__)
    return known is not None and fingerprint(cls) in known


def fingerprint(cls: type) -> str | None:
    """Return a hash of what a class does: its methods, and the functions of its package that they call.

    Formatting, comments and docstrings make no difference, nor does the version of Python. Methods that have been
    replaced at run time are read in their present form.

    Args:
        cls: A class.

    Returns:
        16 hexadecimal digits; None where some source cannot be read.
    """
    try:
        parts = sorted(set(_parts(cls, set())))
    except (OSError, SyntaxError, TypeError):  # no file, or a file that has changed since
        return None
    return hashlib.sha256('\n'.join(parts).encode()).hexdigest()[:16]


def _parts(item: Any, seen: set[int]) -> Iterator[str]:
    """Yield the normalised source of a class or function, and of everything of its package that it refers to."""
    if id(item) in seen:
        return
    seen.add(id(item))
    if isinstance(item, type):
        for name, attribute in _attributes(item).items():
            function = getattr(attribute, '__func__', attribute)
            if isinstance(function, FunctionType):
                yield from _parts(function, seen)
            else:
                yield f'{item.__name__}.{name} = {_plain(attribute)}'
        return
    # of the code: a function that wraps another would otherwise be read as that one
    tree = ast.parse(textwrap.dedent(inspect.getsource(item.__code__))).body[0]
    yield _dump(tree)
    for name in sorted({node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - {*_LOGGING}):
        used = item.__globals__.get(name)
        if isinstance(used, (FunctionType, type)) and _package(used) == _package(item):
            yield from _parts(used, seen)
        elif used is not None:
            yield f'{name} = {_plain(used)}'


def _package(item: FunctionType | type) -> str:
    return item.__module__.partition('.')[0]


def _attributes(cls: type) -> dict[str, Any]:
    """Return what a class has, inherited or not, up to the classes of torch and Python."""
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if base.__module__.partition('.')[0] not in ('torch', 'typing', *sys.stdlib_module_names):
            found |= vars(base)
    return {name: value for name, value in found.items() if name not in (*_BOILERPLATE, *_BOILERPLATE_3_13)}


def _plain(value: Any) -> str:
    """Return a text for a value that is no function of the package."""
    if isinstance(value, ModuleType):
        return value.__name__
    if isinstance(value, (FunctionType, type)) or callable(value):
        return str(getattr(value, '__name__', type(value).__name__))
    if isinstance(value, (bool, int, float, str, tuple)):
        return repr(value)
    return type(value).__name__


def _dump(node: Any) -> str:
    """Return a syntax tree as text, without docstrings, positions, decorators that register, and empty fields."""
    if isinstance(node, list):
        return '[' + ','.join(map(_dump, node)) + ']'
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = {name: value for name, value in ast.iter_fields(node) if value not in (None, []) and name != 'ctx'}
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node) is not None:
        fields['body'] = node.body[1:]
    return type(node).__name__ + '(' + ','.join(f'{name}={_dump(value)}' for name, value in fields.items()) + ')'

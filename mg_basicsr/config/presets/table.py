"""Table of the presets that a block can name: the package's own, registered ones, and those of installed packages."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from mg_basicsr.config.block import Block
from mg_basicsr.config.presets.preset import Preset
from mg_basicsr.errors import ConfigError, Problem

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = 'mg_basicsr.presets'  # entry points of other packages

# The package's own presets, in the order of messages. A new one is a module and a line here, as for an entry point.
OWN = (
    'mg_basicsr.config.presets.lin2022:PRESET',
    'mg_basicsr.config.presets.wu2020:PRESET',
    'mg_basicsr.config.presets.short_clips:PRESET',
    'mg_basicsr.config.presets.progressive:PRESET',
    'mg_basicsr.config.presets.stages:PRESET',
)

_presets: dict[str, Preset[Any]] = {}


def register(preset: Preset[Any]) -> None:
    """Add a preset, so that blocks can name it. Registering the same object again changes nothing.

    Raises:
        TypeError: the object is not a `Preset` with a name and a block class whose keys are declared with `key`.
        ValueError: another preset has the name.
    """
    _check(preset)
    if _presets.setdefault(preset.name, preset) is not preset:
        raise ValueError(f'there is a preset {preset.name!r} already: {_presets[preset.name]!r}')


def find(name: str) -> Preset[Any] | None:
    """Find a preset by its name. Installed packages are searched if it is not loaded yet.

    Raises:
        ConfigError: the package of the preset cannot be imported, or two packages have one of this name.
    """
    if name not in _presets:
        for entry in _entry_points():
            if entry.name == name:
                _load(entry)
    return _presets.get(name)


def preset_of(block: Block) -> Preset[Any]:
    """Return the preset of a block."""
    return _presets[block.preset]


def loaded() -> tuple[Preset[Any], ...]:
    """Return the package's own presets and those that were registered or found so far."""
    return tuple(_presets.values())


def names() -> list[str]:
    """Return every name that a block can give, including those of installed packages."""
    return list(dict.fromkeys([*_presets, *(entry.name for entry in _entry_points())]))


def _check(preset: object, name: str | None = None) -> None:
    """Check that an object is a preset, and has the expected name if one is given.

    Raises:
        TypeError: the object is not a `Preset` with a name and a block class whose keys are declared with `key`.
        ValueError: the preset has another name.
    """
    if not isinstance(preset, Preset):
        raise TypeError(f'{preset!r} is not a Preset')
    if not isinstance(getattr(preset, 'name', None), str) or not preset.name:
        raise TypeError(f'{preset!r} has no name')
    block = getattr(preset, 'block', None)
    if not (isinstance(block, type) and issubclass(block, Block) and is_dataclass(block)):
        raise TypeError(f'the block of preset {preset.name} is not a subclass of Block')
    undeclared = [spec.name for spec in fields(block) if spec.name != 'preset' and 'reader' not in spec.metadata]
    if undeclared:
        raise TypeError(f'keys of preset {preset.name} that are not declared with `key`: {", ".join(undeclared)}')
    if name not in (None, preset.name):
        raise ValueError(f'its name is {preset.name!r}')


def _entry_points() -> list[EntryPoint]:
    """Return the presets of installed packages, not loaded."""
    from importlib.metadata import entry_points  # the import takes longer than a plan, and is rarely needed

    return sorted(entry_points(group=GROUP), key=lambda entry: entry.name)


def _load(entry: EntryPoint) -> None:
    """Register the preset of an entry point.

    Raises:
        ConfigError: the package cannot be imported, or the entry point is not a preset of this name.
    """
    try:
        preset = entry.load()
        _check(preset, entry.name)
        register(preset)
    except Exception as error:  # importing another package can raise anything
        package = entry.dist.name if entry.dist else 'a package'
        raise ConfigError(
            Problem(
                'multigrid.preset',
                f'{entry.name}, {entry.value} of {package}, cannot be used: {type(error).__name__}: {error}',
                f'needed: a preset of this name as entry point of group {GROUP}',
                f'correct {package}, or remove it',
            )
        ) from error


for _place in OWN:
    register(resolve_name(_place))

"""The presets that a block can name: the package's own, those that were registered, and those of installed packages."""

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

# The package's own, in the order of messages. A new one is a module and a line here, written as an entry point is.
OWN = (
    'mg_basicsr.config.presets.lin2022:PRESET',
    'mg_basicsr.config.presets.wu2020:PRESET',
    'mg_basicsr.config.presets.progressive:PRESET',
    'mg_basicsr.config.presets.stages:PRESET',
)

_presets: dict[str, Preset[Any]] = {}


def register(preset: Preset[Any]) -> None:
    """Add a preset, so that blocks can name it. To register the same object again changes nothing.

    Raises:
        TypeError: it is no `Preset` with a name and a block class whose keys are declared with `key`.
        ValueError: another preset has the name.
    """
    _check(preset)
    if _presets.setdefault(preset.name, preset) is not preset:
        raise ValueError(f'there is a preset {preset.name!r} already: {_presets[preset.name]!r}')


def find(name: str) -> Preset[Any] | None:
    """Find a preset by its name; installed packages are asked where it is none of those loaded so far.

    Raises:
        ConfigError: the package that has it is broken, or two packages have one.
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
    """Return every name that a block can give, those of installed packages too."""
    return list(dict.fromkeys([*_presets, *(entry.name for entry in _entry_points())]))


def _check(preset: object, name: str | None = None) -> None:
    """Refuse an object that is not a preset, or has another name than it should.

    Raises:
        TypeError: it is no `Preset` with a name and a block class whose keys are declared with `key`.
        ValueError: it has another name.
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
    from importlib.metadata import entry_points  # takes longer than a plan, and few need it

    return sorted(entry_points(group=GROUP), key=lambda entry: entry.name)


def _load(entry: EntryPoint) -> None:
    """Register the preset of an entry point.

    Raises:
        ConfigError: its package cannot be imported, or has something else there.
    """
    try:
        preset = entry.load()
        _check(preset, entry.name)
        register(preset)
    except Exception as error:  # whatever the package does when it is imported
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

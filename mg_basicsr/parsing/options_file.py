"""Loading of BasicSR options files, with `--force_yml` applied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mg_basicsr.errors import ConfigError, Problem

# libyaml's loader is ten times faster, but not in every build of PyYAML.
Loader: Any = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)


def parse_yaml(text: str) -> Any:
    """Return the one YAML document of a text. `yaml.load` is not used, since it is patched while BasicSR trains.

    >>> parse_yaml('a: [1, true, ~]')
    {'a': [1, True, None]}

    Raises:
        yaml.YAMLError: the text is not YAML, or a value does not match its tag or form (`2024-13-01` is no date).
    """
    loader = Loader(text)
    try:
        return loader.get_single_data()
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:  # PyYAML does not catch these
        raise yaml.YAMLError(str(error) or type(error).__name__) from None
    finally:
        loader.dispose()


@dataclass(frozen=True)
class OptionsFile:
    """Options file as loaded.

    Attributes:
        path: Path of the file.
        force_yml: `a:b=value` entries of the command line, already applied to `options`.
        options: Content of the file.
    """

    path: Path
    force_yml: tuple[str, ...]
    options: dict[str, Any]

    @property
    def has_block(self) -> bool:
        """Whether the file has a `multigrid:` block."""
        return 'multigrid' in self.options


def load_options(path: str | Path, force_yml: Sequence[str] = ()) -> OptionsFile:
    """Load an options file and apply the overrides.

    Args:
        path: Path of the file.
        force_yml: `section:key=value` entries, see `apply_overrides`.

    Raises:
        ConfigError: the file is missing, is not YAML, is not a mapping, or an override names a section that it lacks.
    """
    path = Path(path)
    try:
        options = parse_yaml(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise ConfigError(
            Problem(
                f'-opt {path}',
                f'{error.strerror}',
                'needed: a file that can be read',
                'give the path of an options file',
            )
        ) from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: not UTF-8
        where = getattr(error, 'problem_mark', None)
        line = f', line {where.line + 1}, column {where.column + 1}' if where else ''
        reason = getattr(error, 'problem', None) or ' '.join(str(error).split())
        raise ConfigError(
            Problem(f'-opt {path}{line}', f'{reason}', 'allowed: a file in YAML, in UTF-8', 'correct it there')
        ) from None
    if not isinstance(options, dict):
        raise ConfigError(
            Problem(f'-opt {path}', 'no options in it', 'allowed: a BasicSR options file', 'give the path of one')
        )
    apply_overrides(options, force_yml)
    return OptionsFile(path, tuple(force_yml), options)


def apply_overrides(options: dict[str, Any], force_yml: Sequence[str]) -> None:
    """Apply `section:key=value` entries in place, as BasicSR's --force_yml does.

    A missing section `multigrid` is created.

    >>> options = {'train': {'total_iter': 300}}
    >>> apply_overrides(options, ['train:total_iter=5', 'multigrid:preset=lin2022'])
    >>> options
    {'train': {'total_iter': 5}, 'multigrid': {'preset': 'lin2022'}}

    Args:
        options: Content of the file.
        force_yml: The entries.

    Raises:
        ConfigError: an entry has no `=`, or its section does not exist.
    """
    for entry in force_yml:
        keys, equals, value = entry.partition('=')
        *sections, key = (part.strip() for part in keys.split(':'))
        if not equals or not key:
            raise ConfigError(
                Problem(
                    f'--force_yml {entry}',
                    'no key and value in it',
                    'allowed: section:key=value',
                    'for example train:total_iter=1000',
                )
            )
        target: Any = options
        for depth, section in enumerate(sections):
            if section == 'multigrid' and depth == 0 and target.get(section) is None:
                target[section] = {}
            target = target.get(section) if isinstance(target, Mapping) else None
        if not isinstance(target, dict):
            path = '.'.join(sections)
            raise ConfigError(
                Problem(
                    f'--force_yml {entry}',
                    f'the options file has no section {path}',
                    'allowed: keys in sections that the file has, or in multigrid',
                    'check the spelling',
                )
            )
        target[key] = _value(value.strip())


def _value(text: str) -> Any:
    """Return a value of the command line, read as YAML; `none` is null too, as in BasicSR."""
    if text.lower() == 'none':
        return None
    try:
        return parse_yaml(text)
    except yaml.YAMLError:
        return text

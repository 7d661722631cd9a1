"""Loading of BasicSR options files, with `--force_yml` applied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mg_basicsr.errors import ConfigError, Problem
from mg_basicsr.parsing.near_misses import is_near, refuse_near_misses
from mg_basicsr.parsing.plain_files import read_plain_file
from mg_basicsr.parsing.text_numbers import convert_numbers
from mg_basicsr.parsing.yaml_text import Document, RepeatedKey, parse_document, parse_yaml


@dataclass(frozen=True)
class OptionsFile:
    """Options file as loaded.

    Attributes:
        path: Path of the file.
        force_yml: `a:b=value` entries of the command line, already applied to `options`.
        options: The whole file.
        merges: Whether it has merge keys (`<<`), which BasicSR's own reader does not know.
    """

    path: Path
    force_yml: tuple[str, ...]
    options: dict[str, Any]
    merges: bool = False

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
        ConfigError: The file is missing, is not YAML, or is not a mapping; an override fits nowhere in it; a key is
            nearly `multigrid`; or it has the block, and a key stands twice in a section.
    """
    path = Path(path)
    document = _read(path)
    options = document.value
    if not isinstance(options, dict):
        raise ConfigError(
            Problem(f'-opt {path}', 'no options in it', 'allowed: a BasicSR options file', 'give the path of one')
        )
    apply_overrides(options, force_yml)
    refuse_near_misses(options, document.overwritten)
    file = OptionsFile(path, tuple(force_yml), options, document.merges)
    if file.has_block:  # the others are BasicSR's alone
        _refuse_repeated(path, document.repeated)
    convert_numbers(options)
    return file


def _read(path: Path) -> Document:
    try:
        return parse_document(read_plain_file(path).decode('utf-8'))
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


def _refuse_repeated(path: Path, repeated: Sequence[RepeatedKey]) -> None:
    if repeated:
        raise ConfigError(
            *(
                Problem(
                    f'-opt {path}, line {key.second}',
                    f'{key.path} a second time (first in line {key.first})',
                    'allowed: each key once in a section; of two, BasicSR would take the last',
                    'remove one of them',
                )
                for key in repeated
            )
        )


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
            meant = any(is_near(section) for section in sections)
            raise ConfigError(
                Problem(
                    f'--force_yml {entry}',
                    f'the options file has no section {path}',
                    'allowed: keys in sections that the file has, or in multigrid',
                    f'did you mean multigrid:{key}={value}?' if meant else 'check the spelling',
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

"""`mg-basicsr convert`: add the block at the end of a stock options file; the rest stays the same, comments too."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import yaml

from mg_basicsr.config.presets.preset import Preset
from mg_basicsr.config.presets.table import find, loaded, names
from mg_basicsr.config.resolve import resolve
from mg_basicsr.errors import ConfigError, Problem
from mg_basicsr.parsing.options_file import load_options
from mg_basicsr.parsing.yaml_text import parse_yaml
from mg_basicsr.schedule.describe import describe

BLOCK = """
# the mini-batch's shape and the learning rate follow a plan: see `mg-basicsr plan -opt {name}`
multigrid:
{keys}"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments.

    Only presets that are loaded are listed: searching for others takes time, also for `--help`.
    """
    parser.add_argument('-opt', '--opt', required=True, type=Path, help='a BasicSR options file')
    parser.add_argument('-o', '--output', required=True, type=Path, help='where the converted file is written')
    presets = '; '.join(f'{preset.name}: {preset.summary}' for preset in loaded())
    parser.add_argument('--preset', default='lin2022', metavar='NAME', help=f'{presets} (default: lin2022)')


def run(arguments: argparse.Namespace) -> int:
    """Write the converted file, unless it could not be planned; return the exit code.

    Raises:
        ConfigError: the file has a block already, cannot be planned with one, or the converted file cannot be written.
    """
    source, output = arguments.opt, arguments.output
    preset = _find(arguments.preset)
    file = load_options(source)
    if file.has_block:
        what = f'{source} has the block already'
        raise ConfigError(Problem('multigrid', what, 'allowed: a file without it', 'edit it there'))
    if output.exists():
        raise ConfigError(Problem(f'-o {output}', 'exists already', 'allowed: a new file', 'give another name'))
    keys = {'preset': preset.name, **preset.suggest(file.options)}
    # Planned before it is written: a converted file that cannot be planned helps nobody.
    settings = resolve(load_options(source, [f'multigrid:{key}={value}' for key, value in keys.items()]))
    lines = ''.join(f'  {key}: {value}\n' for key, value in keys.items())
    text = converted(source.read_bytes(), BLOCK.format(name=output, keys=lines))
    if text is None:
        raise ConfigError(
            Problem(
                f'-opt {source}',
                'a section cannot be added at its end',
                'allowed: one YAML document, one `key: value` under another',
                'add this to it by hand: multigrid: {' + ', '.join(f'{key}: {keys[key]}' for key in keys) + '}',
            )
        )
    try:
        with output.open('xb') as stream:
            stream.write(text)
    except OSError as error:
        raise ConfigError(
            Problem(f'-o {output}', f'{error.strerror}', 'needed: a path to write to', 'give another name')
        ) from None
    speedup = describe(settings.plan, settings.baseline)['ideal_speedup']
    print(f'wrote {output}: {len(settings.plan.stages)} stages, ideal speed-up {speedup:.2f}x')
    return 0


def _find(name: str) -> Preset[Any]:
    """Find the preset that the command line names.

    Raises:
        ConfigError: there is no such preset.
    """
    preset = find(name)
    if preset is None:
        allowed = 'allowed: ' + ' | '.join(names())
        raise ConfigError(Problem(f'--preset {name}', 'there is no such preset', allowed, 'check the spelling'))
    return preset


def converted(source: bytes, block: str) -> bytes | None:
    """Return an options file with the block at its end, and no other byte changed.

    Args:
        source: Content of the file.
        block: The block as YAML.

    Returns:
        The new content; None if the other options would change: a file that ends in `...`, or that is one `{...}`, has
        no place for a section at its end.
    """
    newline = b'\r\n' if b'\r\n' in source else b'\n'
    result = source + (b'' if source.endswith(b'\n') else newline) + block.encode().replace(b'\n', newline)
    try:
        before, after, section = (parse_yaml(text.decode()) for text in (source, result, block.encode()))
    except yaml.YAMLError:
        return None
    return result if after == {**before, **section} else None

"""`mg-basicsr convert`: add the block at the end of a stock options file; the rest stays the same, comments too."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from mg_basicsr.config.block import PRECISIONS
from mg_basicsr.config.conversion import (
    BATCH,
    Choices,
    Conversion,
    conversion,
    default_preset,
    gain,
    official_batch,
)
from mg_basicsr.config.official_batch import official_gpus
from mg_basicsr.config.own_schedule import own_schedule, with_whole_batches
from mg_basicsr.config.presets.preset import Preset
from mg_basicsr.config.presets.table import find, loaded, names
from mg_basicsr.config.schema import is_schema
from mg_basicsr.config.stray_block import refuse_stray_block
from mg_basicsr.errors import ConfigError, Problem
from mg_basicsr.parsing.options_file import OptionsFile, load_options
from mg_basicsr.parsing.yaml_editing import with_values
from mg_basicsr.parsing.yaml_text import parse_yaml
from mg_basicsr.parsing.yaml_writing import one_line

BOM = b'\xef\xbb\xbf'
USUAL = 'lin2022'  # preset
MODELINE = '# yaml-language-server: $schema='


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments.

    Only presets that are loaded are listed: searching for others takes time, also for `--help`.
    """
    parser.add_argument('-opt', '--opt', required=True, type=Path, help='a BasicSR options file')
    parser.add_argument('-o', '--output', required=True, type=Path, help='where the converted file is written')
    presets = '; '.join(f'{preset.name}: {preset.summary}' for preset in loaded())
    usual = f'default: {USUAL}; for a file with its own schedule, a preset that can have it'
    parser.add_argument('--preset', metavar='NAME', help=f'{presets} ({usual})')
    parser.add_argument(
        '--base-batch-size', type=int, metavar='N', help=f'{BATCH} (default: as the file says; on a terminal, asked)'
    )
    parser.add_argument('--store', metavar='STORE', help='a crop store, made by `mg-basicsr prepare`')
    parser.add_argument('--precision', choices=PRECISIONS, help='type in which networks compute while they train')
    parser.add_argument(
        '--schema', type=Path, metavar='FILE', help='name this schema, made by `mg-basicsr schema -o`, for editors'
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the converted file, unless it could not be planned or gained nothing; return the exit code.

    Raises:
        ConfigError: the file has a block already, cannot be planned with one, gains nothing by it, or the converted
            file cannot be written.
    """
    source, output = arguments.opt, arguments.output
    preset = _find(arguments.preset or USUAL)
    stock = load_options(source)
    if stock.has_block:
        what = f'{source} has the block already'
        raise ConfigError(Problem('multigrid', what, 'allowed: a file without it', 'edit it there'))
    refuse_stray_block(stock.options)
    if output.exists():
        raise ConfigError(Problem(f'-o {output}', 'exists already', 'allowed: a new file', 'give another name'))
    header = modeline(arguments.schema, output) if arguments.schema else ''
    schedule = own_schedule(stock.options)
    preset = preset if arguments.preset else _find(default_preset(schedule, USUAL))
    batch, why = _base_batch_size(arguments.base_batch_size, with_whole_batches(stock, schedule))
    # a file with a block must not repeat keys, of which BasicSR takes the last
    file = load_options(source, [f'multigrid:preset={preset.name}'])
    result = conversion(file, preset, Choices(batch, why, arguments.store, arguments.precision))
    changes = result.schedule.options if result.schedule else {}
    text = converted(source.read_bytes(), result.text(str(output)), header, changes)
    if text is None:
        raise ConfigError(
            Problem(
                f'-opt {source}',
                'a section cannot be added at its end',
                'allowed: one YAML document, one `key: value` under another',
                f'add this to it by hand: multigrid: {one_line(result.keys)}'
                + ''.join(f'; set datasets.train.{key}: {value}' for key, value in changes.items()),
            )
        )
    try:
        with output.open('xb') as stream:
            stream.write(text)
    except OSError as error:
        raise ConfigError(
            Problem(f'-o {output}', f'{error.strerror}', 'needed: a path to write to', 'give another name')
        ) from None
    _report(result, output, batch)
    return 0


def _report(result: Conversion, output: Path, batch: int | None) -> None:
    """Print what was written, and what is left to the user."""
    stages = len(result.settings.plan.stages)
    print(f'wrote {output}: {stages} stage{"s" * (stages > 1)}, {gain(result.settings, result.adopted)}')
    if result.schedule:
        changes = ', '.join(f'{key}: {value}' for key, value in result.schedule.options.items())
        print(f'its train loop now leaves each batch of the plan whole: datasets.train has {changes}')
    if batch is None:
        print(f'base_batch_size is left out, since the file does not say it; --base-batch-size N writes it: {BATCH}')
    print(f'next: mg-basicsr plan -opt {output}, and mg-basicsr check -opt {output} where the data is')


def _base_batch_size(given: int | None, file: OptionsFile) -> tuple[int | None, str]:
    """Return the base batch size and its source: the flag's, else an answer on a terminal, else what the file says.

    Raises:
        ConfigError: the flag or the answer is not a number of clips.
    """
    if given is not None:
        if given < 1:
            allowed = 'allowed: an integer >= 1'
            raise ConfigError(Problem('--base-batch-size', f'{given}', allowed, 'give the clips of all GPUs together'))
        return given, f'{BATCH}, as given'
    known, why = official_batch(official_gpus(file), file.options)
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        return known, why
    default = f'Enter: {known}, {why.partition(": ")[2]}' if known else 'Enter: leave it out'
    print(f'{BATCH} ({default}): ', end='', file=sys.stderr, flush=True)
    answer = sys.stdin.readline().strip()
    if not answer:
        return known, why
    if not answer.isdecimal() or int(answer) < 1:
        allowed = 'allowed: an integer >= 1, or nothing'
        raise ConfigError(
            Problem('base_batch_size', answer, allowed, 'run the command again, or give --base-batch-size')
        )
    return int(answer), f'{BATCH}, as given'


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


def modeline(schema: Path, output: Path) -> str:
    """Return the first line of a file, by which editors find the schema: its path is relative to the file.

    Args:
        schema: Path of the schema.
        output: Path of the options file.

    Raises:
        ConfigError: there is no schema at this path, or editors could not read its path from the line.
    """
    flag = f'--schema {schema}'
    if not is_schema(schema):
        what = 'is not a schema of this package' if schema.exists() else 'no such file'
        raise ConfigError(
            Problem(flag, what, 'needed: a file made by `mg-basicsr schema`', f'mg-basicsr schema -o {schema}')
        )
    try:
        path = Path(os.path.relpath(schema.resolve(), output.resolve().parent)).as_posix()
    except ValueError:  # on another drive
        path = schema.resolve().as_posix()
    if any(character.isspace() or not character.isprintable() for character in path):
        raise ConfigError(
            Problem(
                flag, 'its path has spaces', 'allowed: a path without, since editors read up to the first', 'move it'
            )
        )
    return MODELINE + (path if path.startswith(('/', '.')) else f'./{path}')


def converted(source: bytes, block: str, header: str = '', changes: Mapping[str, Any] | None = None) -> bytes | None:
    """Return an options file with the block at its end and a line at its start, and no other byte changed.

    Args:
        source: Content of the file.
        block: The block as YAML.
        header: First line, a comment; empty for none.
        changes: Values of `datasets.train` that are replaced.

    Returns:
        The new content; None if the other options would change: a file that ends in `...`, or that is one `{...}`, has
        no place for a section at its end.
    """
    if changes:
        edited = with_values(source.decode('utf-8'), ('datasets', 'train'), changes)
        if edited is None:
            return None
        source = edited.encode()
    newline = next((ending for ending in (b'\r\n', b'\n', b'\r') if ending in source), b'\n')
    mark = BOM if source.startswith(BOM) else b''
    first = header.encode() + newline if header and MODELINE.encode() not in source else b''
    body = source.removeprefix(mark)
    gap = b'' if source.endswith(newline) else newline
    result = mark + first + body + gap + block.encode().replace(b'\n', newline)
    try:
        before, after, section = (parse_yaml(text.decode('utf-8')) for text in (source, result, block.encode()))
    except yaml.YAMLError:
        return None
    return result if after == {**before, **section} else None

"""`mg-basicsr plan --compare A.yml B.yml`: two plans side by side, and the options in which the files differ."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

from mg_basicsr.cli.planned_file import load_file
from mg_basicsr.config.resolve import Settings, resolve
from mg_basicsr.errors import ConfigError, Problem, printable
from mg_basicsr.schedule.baseline import Baseline
from mg_basicsr.schedule.describe import describe


def compare(arguments: argparse.Namespace) -> int:
    """Plan both files, print them side by side, and return the exit code.

    Args:
        arguments: Of `plan`: `compare`, `json`, `world_size` and `force_yml`, which is applied to both files.

    Raises:
        ConfigError: a file cannot be planned, or another form of output is asked for as well.
    """
    if arguments.opt or arguments.yaml or arguments.plot:
        raise ConfigError(
            Problem('--compare', 'with -opt, --yaml or --plot', 'allowed: --json', 'leave them out, or leave it out')
        )
    names = list(arguments.compare)
    files = [load_file(argparse.Namespace(**{**vars(arguments), 'opt': name})) for name in names]
    settings = [resolve(file, arguments.world_size) for file in files]
    facts = [describe(each.plan, each.baseline) for each in settings]
    differing = differences(*(file.options for file in files))
    if arguments.json:
        print(json.dumps({'files': names, 'plans': facts, 'differing': differing}, indent=2))
    else:
        print_comparison(names, settings, facts, differing)
    return 0


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return the options in which two files differ: dotted path -> [value, value], None where a file has none.

    Args:
        first: Options of a file.
        second: Options of the other.
    """
    flat = [_flat(options, '') for options in (first, second)]
    paths = dict.fromkeys(path for each in flat for path in each)
    pairs = {path: [each.get(path) for each in flat] for path in paths}
    return {path: pair for path, pair in pairs.items() if pair[0] != pair[1]}


def print_comparison(
    names: list[str], settings: list[Settings], facts: list[dict[str, Any]], differing: Mapping[str, list[Any]]
) -> None:
    """Print both plans as tables.

    Args:
        names: Paths of the files.
        settings: The resolved files.
        facts: What `describe` returns for each.
        differing: Options that differ.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)

    def show(head: list[str], rows: list[list[str]]) -> None:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for name in head:
            table.add_column(Text(name), overflow='fold')
        for row in rows:
            table.add_row(*(Text(printable(cell)) for cell in row))
        console.print(table)

    for letter, name in zip('AB', names, strict=True):
        print(f'{letter}: {printable(name)}')
    a, b = facts
    show(
        ['', 'A', 'B', 'B / A'],
        [
            ['preset', *(each.block.preset for each in settings), ''],
            _numbers('iterations', a['total_iter'], b['total_iter']),
            _numbers('clips', a['samples'], b['samples']),
            _numbers('GT pixels (10^9)', *(_pixels(each, fact) for each, fact in zip(settings, facts, strict=True))),
            ["work / own baseline's", *(f'{fact["cost"]["multigrid"]:.3f}' for fact in facts), ''],
            ['ideal speed-up', *(f'{fact["ideal_speedup"]:.2f}x' for fact in facts), ''],
        ],
    )
    print()
    pairs = zip_longest(a['stages'], b['stages'])
    rows = [[str(n), _stage(one), _stage(two), '' if one == two else '*'] for n, (one, two) in enumerate(pairs, 1)]
    show(['', 'A: from, clips x frames x GT, lr', 'B', ''], rows)
    if differing:
        print('\nOptions that differ:')
        show(['', 'A', 'B'], [[path, *map(_text, pair)] for path, pair in differing.items()])


def _stage(stage: Mapping[str, Any] | None) -> str:
    if stage is None:
        return '-'
    shapes = stage['short_cycle'] or [[stage['clips'], stage['frames'], stage['gt_size']]]
    passes = f' in {stage["accumulate"]} passes' if stage['accumulate'] > 1 else ''
    rates = ' to '.join(f'{rate:.1e}' for rate in stage['lr'])
    return f'{stage["start"] + 1:,}: {", ".join("x".join(map(str, shape)) for shape in shapes)}{passes}, {rates}'


def _numbers(name: str, first: float, second: float) -> list[str]:
    form = ',' if isinstance(first, int) else ',.1f'
    return [name, format(first, form), format(second, form), f'{second / first:.2f}']


def _pixels(settings: Settings, facts: Mapping[str, Any]) -> float:
    base: Baseline = settings.baseline
    return float(facts['cost']['multigrid'] * base.cost / 1e9)


def _flat(value: Any, path: str) -> dict[str, Any]:
    if isinstance(value, dict) and value:
        return {
            inner: item
            for key, each in value.items()
            for inner, item in _flat(each, f'{path}.{key}' if path else str(key)).items()
        }
    return {path: value}


def _text(value: Any) -> str:
    return '-' if value is None else str(value)

"""Add the block to every training options file in checkouts of other repositories: what do `plan` and `run` decide?

    python scripts/sweep.py FOLDER [--json RECORD] [--docs docs/compatibility.md]

FOLDER holds checkouts, one a folder. Each YAML file with the sections `train` and `datasets` gets a block of each
preset, in memory: nothing of a repository is run or changed. `plan` decides by the options; `run` up to the training,
knowing which data sets the checkout has its own classes for, but for files that are not on this machine. Counts by
reason are printed, recorded, and written into the document. The exit code is 1 after an exception that is no message of
this package, where `run` refuses what `plan` accepts, and at a reason that is not in the table below: it may be right
and helpful, but somebody must look.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import re
import subprocess
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from mg_basicsr.cli.convert import USUAL
from mg_basicsr.config.advice import advice
from mg_basicsr.config.conversion import Choices, conversion, default_preset
from mg_basicsr.config.host_classes import HostClasses
from mg_basicsr.config.own_schedule import own_schedule
from mg_basicsr.config.presets.table import find
from mg_basicsr.config.resolve import default_world_size, resolve
from mg_basicsr.errors import MultigridError, Problem
from mg_basicsr.host.data import planned_data
from mg_basicsr.host.data.origin import RELEASED
from mg_basicsr.parsing.options_file import OptionsFile, load_options
from mg_basicsr.parsing.yaml_text import parse_yaml
from mg_basicsr.parsing.yaml_writing import one_line
from mg_basicsr.patching import replaced

PRESETS = ('lin2022', 'wu2020', 'progressive', 'stages')
CONVERT = 'convert'
EXCEPTION = 'exception'
START, END = '<!-- sweep: begin -->', '<!-- sweep: end -->'

# What only files can say, which are on no machine that sweeps: it is no decision about the options.
OF_FILES = re.compile(
    'does not exist|cannot be read|is not a folder|is not an LMDB|not installed|cannot be downloaded|cannot be listed'
)

BY_NAME = 'an option of a class of the repository under a name of BasicSR: `plan` goes by the name, `run` knows'
# Reasons that were looked at: patterns of what `kind` returns, and the reason in a few words.
KNOWN: tuple[tuple[str, str], ...] = (
    ('datasets.train.gt_size: missing,*', '`gt_size` is missing: the crops of its own data set are not known'),
    ('datasets.train.gt_sizes: allowed: one schedule*', 'its own schedule, which `convert` moves into the block'),
    ('datasets.train.use_*: *', BY_NAME),
    ('datasets.train.dataroot_*: allowed: a path', BY_NAME),
    ('datasets.train.io_backend*', BY_NAME),
    ('model_type: allowed: models that take each batch*', 'a model with a pool of pairs of the first shape'),
    ('use_static_graph: *', "DDP's static graph beside clips of several lengths"),
    ('multigrid.finetune: *', '`wu2020` fine-tunes from the last step of a rate that has fewer than two'),
    ('multigrid.lr_schedule: *', 'a scheduler of its own, whose curve `progressive` would follow'),
    ('-opt: allowed: a file in YAML*', 'not YAML, which no script reads'),
    ('-opt: allowed: each key once*', 'a key stands twice, of which BasicSR takes the last'),
    ('--preset *', 'nothing would be gained: no smaller crop or shorter clip that the network takes'),
    ('network_g.type: allowed: networks that restore*', 'a network that is not trained on pairs of crops'),
    ('network_g.with_tsa: *', 'the second phase of a training'),
    ('datasets.train.num_frame: needed: *', 'num_frame: -1 of its own data set: the frames of a sample are not known'),
)


class Case(NamedTuple):
    """Decisions about one file with one block.

    Attributes:
        file: Path within the folder of checkouts.
        block: Name of the preset; `convert` for the block that `convert` writes.
        plan: Kinds of the reasons for which `plan` refuses it; none if it is accepted.
        run: The same of `run`; of `convert`, which is one command, the same as `plan`.
    """

    file: str
    block: str
    plan: tuple[str, ...]
    run: tuple[str, ...]


def kind(problem: Problem) -> str:
    """Return a problem without the values that differ from file to file.

    >>> kind(Problem('datasets.val_2.type', '7 is not allowed', 'allowed: 1 | 2', 'set it to 1'))
    'datasets.val*.type: allowed: N | N'
    """
    option = re.sub(r'\[\d+\]', '[n]', re.sub(r'^datasets\.val\w*', 'datasets.val*', problem.option))
    option = re.sub(r'^-opt .*', '-opt', option)
    missing = 'missing, ' if problem.what == 'missing' else ''
    return f'{option}: {missing}{re.sub(r"[0-9][0-9.e-]*", "N", problem.allowed or problem.what)}'


def known_reason(found: str) -> str | None:
    """Return the reason that a kind stands for; None for a new one."""
    return next((reason for pattern, reason in KNOWN if fnmatchcase(found, pattern)), None)


def training_files(folder: Path) -> Iterator[Path]:
    """Yield the YAML files below a folder that have the sections `train` and `datasets`, or seem to have them."""
    for path in sorted([*folder.rglob('*.yml'), *folder.rglob('*.yaml')]):
        text = path.read_text(encoding='utf-8', errors='replace')
        try:
            options = parse_yaml(text)
        except yaml.YAMLError:
            options = {name: {} for name in ('train', 'datasets') if re.search(f'^{name}:', text, re.MULTILINE)}
        sections = (options.get(name) for name in ('train', 'datasets')) if isinstance(options, Mapping) else (None,)
        if all(isinstance(section, Mapping) for section in sections):
            yield path


def own_classes(folder: Path) -> Collection[str]:
    """Return the names of BasicSR's data sets for which a checkout has another class than the installed BasicSR."""
    installed = find_spec('basicsr')
    stock = dict(_classes(Path(installed.origin).parent)) if installed and installed.origin else {}
    return {name for name, source in _classes(folder) if stock.get(name) != source}


def _classes(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the data sets of BasicSR's names that are defined below a folder, and their normalised source."""
    for path in folder.rglob('*.py'):
        text = path.read_text(encoding='utf-8', errors='replace') if path.is_file() else ''
        if any(f'class {name}(' in text for name in RELEASED):
            for node in ast.parse(text).body:
                if isinstance(node, ast.ClassDef) and node.name in RELEASED:
                    yield node.name, _without_docstrings(node)


def _without_docstrings(node: ast.ClassDef) -> str:
    for part in ast.walk(node):
        if isinstance(part, (ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(part) is not None:
            del part.body[0]
    return ast.dump(ast.Module(node.body, []))


def with_block(path: Path, preset: str) -> OptionsFile:
    """Return a file with a block of a preset, as if it stood there.

    Raises:
        ConfigError: the file cannot be read, or the preset has nothing to suggest for it.
    """
    found = find(preset)
    assert found is not None
    stock = load_options(path)
    block: dict[str, Any] = {'preset': preset, **found.suggest(stock.options)}
    if preset == 'stages':
        block['stages'] = [{'iters': max(1, int(stock.options['train'].get('total_iter') or 1))}]
    return load_options(path, [f'multigrid:{key}={one_line(value)}' for key, value in block.items()])


def planned(path: Path, preset: str) -> None:
    """Decide as `plan` does."""
    file = with_block(path, preset)
    advice(file, resolve(file))


def started(path: Path, preset: str, own: Collection[str]) -> None:
    """Decide as `run` does before it trains, where the checkout has its own classes under some names."""
    file = with_block(path, preset)
    with replaced(planned_data, 'known_classes', lambda: HostClasses(own_datasets=frozenset(own))):
        planned_data.resolve_with_data(file, default_world_size(file.options))


def converted(path: Path) -> None:
    """Decide as `convert` does without `--preset`."""
    preset = find(default_preset(own_schedule(load_options(path).options), USUAL))
    assert preset is not None
    conversion(load_options(path, [f'multigrid:preset={preset.name}']), preset, Choices())


def reasons(decide: Callable[[], None]) -> tuple[str, ...]:
    """Return the kinds of problems of a decision; none if the file is accepted but for files on the disk."""
    try:
        decide()
    except MultigridError as error:
        return tuple(sorted({kind(problem) for problem in error.problems if not OF_FILES.search(problem.what)}))
    except Exception as error:  # of any kind: they are what is looked for
        place = traceback.extract_tb(error.__traceback__)[-1]
        return (f'{EXCEPTION}: {type(error).__name__}: {error} ({Path(place.filename).name}, line {place.lineno})',)
    return ()


def sweep(folder: Path) -> Iterator[Case]:
    """Yield the decisions about each training file of the checkouts in a folder, with each block."""
    here = os.getcwd()
    for checkout in sorted(path for path in folder.iterdir() if path.is_dir()):
        own = own_classes(checkout)
        os.chdir(checkout)  # lists of clips are given relative to it
        try:
            for path in training_files(checkout):
                name = path.relative_to(folder).as_posix()
                for preset in PRESETS:
                    plan = reasons(partial(planned, path, preset))
                    run = reasons(partial(started, path, preset, own))
                    yield Case(name, preset, plan, run)
                found = reasons(partial(converted, path))
                yield Case(name, CONVERT, found, found)
        finally:
            os.chdir(here)


def faults(cases: Sequence[Case]) -> list[str]:
    """Return what somebody must look at: exceptions, reasons that are new, and files that `run` alone refuses."""
    found = []
    for case in cases:
        for reason in sorted({*case.plan, *case.run}):
            if known_reason(reason) is None:
                found.append(f'{case.file} with {case.block}: {reason}')
        if not set(case.run) <= set(case.plan):
            found.append(f'{case.file} with {case.block}: `run` refuses for {sorted({*case.run} - {*case.plan})}')
        if not case.run and any(known_reason(reason) != BY_NAME for reason in case.plan):
            found.append(f'{case.file} with {case.block}: `plan` refuses for {sorted(case.plan)}, `run` does not')
    return found


def table(cases: Sequence[Case]) -> str:
    """Return the counts as tables in Markdown."""
    blocks = (*PRESETS, CONVERT)
    lines = ['| | ' + ' | '.join(f'`{block}`' for block in blocks) + ' |', '|---' * (len(blocks) + 1) + '|']
    of = {block: [case for case in cases if case.block == block] for block in blocks}
    lines.append('| files | ' + ' | '.join(str(len(of[block])) for block in blocks) + ' |')
    for command in ('plan', 'run'):
        counts = [sum(not getattr(case, command) for case in of[block]) for block in blocks]
        lines.append(f'| accepted by `{command}` | ' + ' | '.join(map(str, counts)) + ' |')
    told = {b: Counter(r for c in of[b] for r in {known_reason(k) or k for k in (*c.plan, *c.run)}) for b in blocks}
    total = sum(told.values(), Counter())
    for reason, _ in total.most_common():
        lines.append(f'| {reason} | ' + ' | '.join(str(told[block][reason] or '') for block in blocks) + ' |')
    return '\n'.join(lines) + '\n'


def commits(folder: Path) -> dict[str, str]:
    """Return the commit of each checkout."""
    command = ['git', 'rev-parse', 'HEAD']
    checkouts = sorted(path for path in folder.iterdir() if path.is_dir())
    done = {path.name: subprocess.run(command, cwd=path, capture_output=True, text=True) for path in checkouts}
    return {name: process.stdout.strip() for name, process in done.items()}


def main() -> int:
    """Sweep the folder that the command line names; return 1 if there is something to look at."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('folder', type=Path, help='checkouts of repositories, one a folder')
    parser.add_argument('--json', type=Path, metavar='RECORD', help='write every decision')
    parser.add_argument('--docs', type=Path, metavar='FILE', help='write the counts between the marks of a document')
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    cases = list(sweep(folder))
    counts = table(cases)
    print(counts)
    if arguments.json:
        record = {'commits': commits(folder), 'cases': [case._asdict() for case in cases]}
        arguments.json.write_text(json.dumps(record, indent=1) + '\n')
    if arguments.docs:
        before, _, rest = arguments.docs.read_text().partition(START)
        arguments.docs.write_text(f'{before}{START}\n{counts}{END}{rest.partition(END)[2]}')
    found = faults(cases)
    print(*(found or ['nothing new']), sep='\n')
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main())

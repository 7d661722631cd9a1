"""Options files broken at random: whatever is in them, they are planned or refused, and nothing else escapes."""

from __future__ import annotations

import copy
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from mg_basicsr.config.explicit_block import explicit_block
from mg_basicsr.config.resolve import resolve
from mg_basicsr.errors import MultigridError
from mg_basicsr.parsing.options_file import load_options
from mg_basicsr.schedule.describe import describe
from tests.helpers.stock_options import PAPER, stock

# fmt: off
VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 2, 3, 7, 10**9, 10**18, 10**30, -(10**18), 10**400,
    0.0, 0.5, 1.0, 1.5, -0.5, 1e-300, 1e300, 1e-7, float('nan'), float('inf'), float('-inf'),
    '', 'x', '2e-4', '1e999', 'nan', '-', 'none', 'lin2022', 'stages', 'wu2020', 'progressive', 'host', 'synchronous',
    'REDSDataset', 'Vimeo90KRecurrentDataset', 'MultigridDataset', 'MultiStepLR',
    [], [None], [1], [0], [0.5, 1.0], [1.0], [-1, 2], [10**12], [[1]], [[0.5, 0.5], [1.0, 1.0]], ['a', 1.0],
    [float('nan')],
    [{'iters': 5}], [{'iters': 10**12, 'lr': [1e-3, 0, 'cosine 5']}], [{'iters': 2, 'lr': ['a', 'b', 3]}],
    {}, {'a': 1}, {1: 2}, {'type': 'x'},
    {'gt_size': 288, 'frames': 17, 'iters': 10}, {'gt_size': 10**20, 'frames': 10**20, 'iters': 10**20},
]
# fmt: on
OPTIONS = Path(__file__).parents[3] / 'options'
PLACE = re.compile(r'-opt [^\n]+\.yml|\w+(\..+)?: ')  # the file, or the option's dotted path
NAMES = [
    'x',
    '',
    'preset',
    'spatial',
    'tempral',
    'lr',
    'type',
    'gt_sizes',
    'num_frame',
    'stages',
    'extra',
    5,
    None,
    'a: b',
]
CHARACTERS = '{}[]:,#&*!|>\'"%@`-? \n\t0a\x00é'


def sections(options: dict[Any, Any]) -> Iterator[dict[Any, Any]]:
    """The mapping itself and all mappings in it."""
    yield options
    for value in options.values():
        if isinstance(value, dict):
            yield from sections(value)


def mutate(options: dict[str, Any], rng: random.Random) -> None:
    """Renames, removes, adds or replaces one key somewhere, in place."""
    section = rng.choice([section for section in sections(options) if section])
    key = rng.choice(list(section))
    kind = rng.choice(['rename', 'remove', 'add', 'replace', 'replace', 'replace'])
    if kind == 'rename':
        section[rng.choice(NAMES)] = section.pop(key)
    elif kind == 'remove':
        del section[key]
    else:
        section[key if kind == 'replace' else rng.choice(NAMES)] = copy.deepcopy(rng.choice(VALUES))


def broken_text(text: str, rng: random.Random) -> str:
    """Some characters of the file put in, taken out or replaced."""
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(text))
        text = text[:at] + rng.choice(['', rng.choice(CHARACTERS)]) + text[at + rng.randint(0, 1) :]
    return text


def full_file() -> dict[str, Any]:
    """An options file with every key of the block that can be set."""
    block = PAPER | {
        'spatial': [0.5, 1.0], 'temporal': [0.5, 0.75, 1.0], 'order': 'hierarchical', 'lr_scaling': 'sqrt',
        'lr_schedule': 'host', 'small_lr_max': '2e-4', 'extra': {'gt_size': 288, 'frames': 17, 'iters': 2000},
        'max_clips': 8, 'batch_growth': 'none', 'warmup_iter': 100, 'lq_multiple': 4, 'min_lq_size': 32,
        'min_frames': 6, 'precision': 'float32', 'uint8_transfer': True, 'store': None, 'on_bad_frame': 'error',
    }  # fmt: skip
    return stock(block=block)


def explicit_file() -> dict[str, Any]:
    entry = {'iters': 1000, 'frames': 7, 'gt_size': 128, 'clips': 16, 'lr': [2e-4, 1e-7, 'cosine 5000']}
    cycle = {'iters': 9000, 'short_cycle': [[64, 7, 128], [16, 7, 256]], 'lr': [2e-4, 0, 'step 9 0.1']}
    return stock(block={'preset': 'stages', 'warmup_iter': 5, 'stages': [entry, cycle, {'iters': 20_000}]})


def wu2020_file() -> dict[str, Any]:
    block = {
        'preset': 'wu2020', 'base_batch_size': 16, 'batch_size': 32, 'lr_scaling': 'linear', 'lr_schedule': 'steps',
        'long_cycle': [[0.25, 0.7], [7, 256], [1.0, 1.0]], 'short_cycle': [0.5, 180], 'epoch_factor': 1.5,
        'finetune': True, 'lr_steps': {'milestones': [100_000, 200_000], 'gamma': 0.1}, 'small_lr_max': 2e-4,
        'max_clips': 8, 'warmup_iter': 100, 'lq_multiple': 4, 'min_lq_size': 32, 'min_frames': 6,
    }  # fmt: skip
    return stock(block=block)


def progressive_file() -> dict[str, Any]:
    lists = {'gt_sizes': [128, 192, 256], 'mini_batch_sizes': [8, 4, 4], 'iters': [10_000, 20_000, 30_000]}
    return stock(block={'preset': 'progressive', 'base_batch_size': 32, 'lr_schedule': 'host', **lists})


FILES = [full_file, explicit_file, wu2020_file, progressive_file]


def published_files() -> list[dict[str, Any]]:
    """The files of options/, whichever there are."""
    return [yaml.safe_load(path.read_text()) for path in sorted(OPTIONS.glob('*.yml'))]


def broken_file(n: int, starts: Sequence[dict[str, Any]] = ()) -> str:
    """The n-th broken file: one to three mutations, in every fourth one of the text itself."""
    rng = random.Random(n)
    options = copy.deepcopy(rng.choice([*(make() for make in FILES), *starts]))
    for _ in range(rng.randint(1, 3)):
        mutate(options, rng)
    text = yaml.safe_dump(options, sort_keys=False)
    return broken_text(text, rng) if n % 4 == 0 else text


def plan_or_refuse(path: Path, text: str) -> bool:
    """Whether the file could be planned. What can be planned can also be shown and printed."""
    path.write_text(text, encoding='utf-8')
    try:
        file = load_options(path)
        settings = resolve(file)
    except MultigridError as error:
        assert error.problems
        assert all(
            str(problem).partition('\n')[0] and len(str(problem).splitlines()) <= 3 for problem in error.problems
        )
        assert all(PLACE.match(str(problem)) for problem in error.problems), error
        return False
    describe(settings.plan, settings.baseline)
    explicit_block(file.options['multigrid'], settings)
    return True


@pytest.mark.parametrize('first', range(0, 200, 50))
def test_broken_files_are_planned_or_refused(first: int, tmp_path: Path) -> None:
    outcomes = [plan_or_refuse(tmp_path / 'x.yml', broken_file(n)) for n in range(first, first + 50)]
    assert any(outcomes) and not all(outcomes)  # the mutations are neither all fatal nor all harmless


def test_500_mutations_of_all_files(tmp_path: Path) -> None:
    """Of the files above and of those of options/; each is answered in less than 2 seconds."""
    starts = published_files()
    assert len(starts) >= 8
    outcomes = []
    for n in range(1000, 1500):
        text = broken_file(n, starts)
        begun = time.process_time()
        outcomes.append(plan_or_refuse(tmp_path / 'x.yml', text))
        assert time.process_time() - begun < 2
    assert 100 < sum(outcomes) < 400  # the mutations are neither all fatal nor all harmless


@pytest.mark.parametrize('n', [15, 4, 18])
def test_the_command_line_answers_as_quickly(n: int, tmp_path: Path) -> None:
    """A file that can be planned, broken text, and a broken value."""
    path = tmp_path / 'x.yml'
    path.write_text(broken_file(n), encoding='utf-8')
    before = os.times()
    done = subprocess.run(
        [sys.executable, '-m', 'mg_basicsr', 'plan', '-opt', str(path)], capture_output=True, text=True, timeout=60
    )
    after = os.times()
    seconds = after.children_user + after.children_system - before.children_user - before.children_system
    assert seconds < 2
    assert 'Traceback' not in done.stderr
    if plan_or_refuse(path, path.read_text(encoding='utf-8')):
        assert done.returncode == 0 and 'ideal speed-up' in done.stdout
    else:
        assert done.returncode == 2 and not done.stdout
        assert any(PLACE.match(line) for line in done.stderr.splitlines())


def test_the_files_themselves_can_be_planned(tmp_path: Path) -> None:
    for options in (*(make() for make in FILES), *published_files()):
        assert plan_or_refuse(tmp_path / 'x.yml', yaml.safe_dump(options, sort_keys=False))

"""Every key of BasicSR's recipes: absent, `~`, of a wrong type, with a wrong value.

The result is a training that starts, or problems that name an option. Never another exception, which would be a
traceback, and never a file.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mg_basicsr.errors import Problem
from tests.helpers.start import problems_at_start
from tests.helpers.stock_files import ABSENT, RECIPES, Place, changed, places, recipe

WRONG: tuple[Any, ...] = (
    ABSENT,
    None,
    'nonsense',
    'nowhere/file.pth',
    -3,
    0,
    2.5,
    True,
    [],
    [1, 2, 3, 4],
    {},
    {'x': 1},
)
SEED = 0
SAMPLE = 24  # cases of the default run


def cases(kind: str, data: Path) -> Iterator[tuple[Place, Any]]:
    return ((place, value) for place in places(recipe(kind, data)) for value in WRONG)


def outcome(kind: str, data: Path, folder: Path, place: Place, value: Any) -> str:
    """Return 'refused' or 'starts'; anything else is an error of the test, which names the case."""
    case = f'{kind}: {".".join(place)}: {"absent" if value is ABSENT else repr(value)}'
    folder.mkdir(parents=True, exist_ok=True)
    try:
        problems = problems_at_start(changed(recipe(kind, data), place, value), folder)
    except Exception as error:
        raise AssertionError(f'{case}: {type(error).__name__}: {error}') from error
    for problem in problems:
        assert is_whole(problem), f'{case}: {problem}'
    return 'refused' if problems else 'starts'


def is_whole(problem: Problem) -> bool:
    """Whether a problem says what is wrong, and is at most three lines, none of them a traceback."""
    text = str(problem)
    return bool(problem.what) and len(text.splitlines()) <= 3 and 'Traceback' not in text


@pytest.mark.parametrize('kind', RECIPES)
def test_the_recipes_themselves_start(kind: str, data: Path, tmp_path: Path) -> None:
    assert problems_at_start(recipe(kind, data), tmp_path) == ()


@pytest.mark.parametrize(
    ('place', 'value'),
    [
        ('model_type', ABSENT),
        ('scale', ABSENT),
        ('network_d', ABSENT),
        ('network_d.num_in_ch', None),
        ('network_d.num_feat', -3),
        ('network_g.num_block', 2.5),
        ('train.optim_d', ABSENT),
        ('train.optim_g.weight_decay', -3),
        ('train.optim_g.weight_decay', None),
        ('train.optim_d.weight_decay', 'nonsense'),
        ('train.optim_g.betas', []),
        ('train.optim_d.betas', 2.5),
        ('train.gan_opt.type', None),
        ('train.gan_opt.gan_type', 2.5),
        ('val.metrics.psnr.crop_border', 'nonsense'),
    ],
)
def test_the_option_itself_is_named(data: Path, tmp_path: Path, place: str, value: Any) -> None:
    """Also where another section has the same class, as the optimisers of a GAN do."""
    problems = problems_at_start(changed(recipe('gan', data), tuple(place.split('.')), value), tmp_path)
    assert [problem.option for problem in problems] == [place], problems


@pytest.mark.parametrize(
    ('place', 'value'),
    [
        ('scale', 'nonsense'),
        ('scale', 2.5),
        ('datasets.val.cache_data', 'nonsense'),
        ('datasets.val.meta_info_file', 0),
    ],
)
def test_what_follows_from_a_mistake_is_not_told(data: Path, tmp_path: Path, place: str, value: Any) -> None:
    problems = problems_at_start(changed(recipe('edvr', data), tuple(place.split('.')), value), tmp_path)
    assert [problem.option for problem in problems] == [place], problems


def test_a_sample_of_all_cases(data: Path, tmp_path: Path) -> None:
    every = [(kind, *case) for kind in RECIPES for case in cases(kind, data)]
    counts = Counter(
        outcome(kind, data, tmp_path / str(n), place, value)
        for n, (kind, place, value) in enumerate(random.Random(SEED).sample(every, SAMPLE))
    )
    assert counts['refused'] and counts['starts']


@pytest.mark.slow
@pytest.mark.parametrize('kind', RECIPES)
def test_every_case(kind: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counts, wrong = Counter[str](), []
    for n, (place, value) in enumerate(cases(kind, data)):
        try:
            counts[outcome(kind, data, tmp_path / str(n), place, value)] += 1
        except AssertionError as error:
            wrong.append(str(error))
    with capsys.disabled():
        print(f'\n{kind}: {sum(counts.values())} cases: {dict(counts)}, {len(wrong)} wrong')
    assert not wrong, '\n'.join(wrong)

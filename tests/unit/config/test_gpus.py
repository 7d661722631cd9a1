"""Warnings of a rate that was made for another number of GPUs than there are, with a remedy that works."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mg_basicsr.config.advice import advice, fewer_gpus
from mg_basicsr.config.resolve import resolve
from mg_basicsr.errors import Problem
from mg_basicsr.parsing.options_file import OptionsFile
from tests.helpers.stock_options import stock

FALLS = 'PSNR first rises, then falls'


def of_gpus(problems: list[Problem]) -> list[Problem]:
    return [problem for problem in problems if problem.option == 'multigrid.base_batch_size']


def file(block: dict[str, Any], **options: Any) -> OptionsFile:
    return OptionsFile(Path('x.yml'), (), {**stock(block={'preset': 'lin2022', **block}), **options})


@pytest.mark.parametrize(
    ('block', 'name', 'ranks', 'gpus', 'words', 'falls'),
    [
        ({}, 'x_8gpus', 1, 1, ['1 rank makes 4 clips', '8 GPUs (8gpus in name), 32 clips'], True),
        ({}, 'x_8gpus', 8, 8, None, False),
        ({}, 'x_8gpus', 8, 1, ['the 1 GPU of this machine makes 4 clips'], True),
        ({}, 'x_8gpus', 8, 2, ['the 2 GPUs of this machine make 8 clips'], True),
        ({}, 'x_8gpus', 8, 0, None, False),  # a CPU
        ({}, 'x_2gpus', 4, 4, ['4 ranks make 16 clips', '2 GPUs', '8 clips'], False),
        ({'base_batch_size': 32}, 'x_8gpus', 1, 1, None, False),
        ({'base_batch_size': 32}, 'x_8gpus', 8, 1, None, False),
        ({}, 'x', 1, 1, None, False),
    ],
)
def test_a_rate_for_other_gpus(
    block: dict[str, Any], name: str, ranks: int, gpus: int, words: list[str] | None, falls: bool
) -> None:
    options = file(block, name=name, num_gpu='auto')
    settings = resolve(options, ranks)
    found = of_gpus([*advice(options, settings), *fewer_gpus(options, settings, gpus)])
    assert len(found) == (words is not None)
    for problem in found:
        assert all(word in problem.what for word in words or ()) and (FALLS in problem.what) is falls


@pytest.mark.parametrize('scaled', [False, True])
def test_the_remedy_works(scaled: bool) -> None:
    options = file({}, name='x_8gpus', num_gpu='auto')
    (problem,) = of_gpus(advice(options, resolve(options, 1)))
    assert 'multigrid.base_batch_size: 32' in problem.remedy and 'multigrid.batch_size: 4' in problem.remedy
    better = file({'base_batch_size': 32, **({'batch_size': 4} if scaled else {})}, name='x_8gpus', num_gpu='auto')
    settings = resolve(better, 1)
    assert of_gpus(advice(better, settings)) == []
    last, base = settings.plan.stages[-1], settings.baseline
    assert last.shape.clips == (4 if scaled else 32)
    assert settings.plan.total_iter == base.total_iter * (8 if scaled else 1)
    assert last.spec.first_lr == pytest.approx(base.lr / (8 if scaled else 1))

"""The rules of benchmarks/training.py, on records made by hand."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FOLDER = Path(__file__).parents[3] / 'benchmarks'


def load(name: str) -> ModuleType:
    """A module of benchmarks/, which is no package."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f'{name}.py')
    assert spec is not None and spec.loader is not None
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


protocol, summary = load('training_protocol'), load('training_summary')


def run(arm: str, seed: int, psnr: float, seconds: float = 100.0, timed: bool = True, **more: Any) -> dict[str, Any]:
    """A record of 11 iterations, of which the first took 5 s."""
    parts = dict.fromkeys(summary.PARTS, 0.0)
    shapes = {summary.FIRST: {'iterations': 1, 'seconds': 5.0, **parts}}
    shapes['3x8x192'] = {'iterations': 10, 'seconds': 1.0, **parts, 'loading': 0.25}
    return {
        'kind': 'run', 'arm': arm, 'seed': seed, 'length': 11, 'timed': timed, 'seconds': seconds, 'iterations': 11,
        'curve': [(11, seconds, psnr)], 'shapes': shapes, 'plan': None, 'machine': {}, 'commit': 'c', **more,
    }  # fmt: skip


def runs(arm: str, mean: float, count: int = 10, first: int = 1000, **more: Any) -> list[dict[str, Any]]:
    """Scores around a mean, 0.01 dB apart in turns."""
    return [run(arm, first + n, mean + (0.01 if n % 2 else -0.01), **more) for n in range(count)]


@pytest.mark.parametrize(
    ('difference', 'count', 'counts'),
    [(0.05, 10, True), (0.05, 9, False), (0.0, 10, False), (-0.05, 10, False), (0.002, 10, False), (0.02, 10, True)],
)
def test_an_arm_counts_if_it_is_above_stock_beyond_chance_on_ten_seeds(
    difference: float, count: int, counts: bool
) -> None:
    verdict = protocol.judge(runs('stock', 26.0), runs('arm', 26.0 + difference, count))
    assert verdict.counts is counts
    assert verdict.difference == pytest.approx(difference, abs=0.002)


def test_there_is_no_slack() -> None:
    assert not protocol.judge(runs('stock', 26.0), runs('arm', 25.99)).counts


def test_seeds_of_development_are_not_judged() -> None:
    tuned = runs('arm', 27.0, first=100) + runs('arm', 25.9)
    found = summary.summarise([*runs('stock', 26.0), *tuned], ['stock', 'arm'])['lengths'][11]['arm']
    assert found['seeds'] == 10 and found['psnr'] == pytest.approx(25.9)


def test_times_are_those_of_runs_that_were_alone() -> None:
    stock = [run('stock', 1000, 26.0, 300.0), run('stock', 1001, 26.02, 900.0, timed=False)]
    arm = [run('arm', 1000, 26.0, 90.0), run('arm', 1001, 26.01, 110.0), run('arm', 1002, 26.0, 1.0, timed=False)]
    verdict = protocol.judge(stock, arm)
    assert (verdict.seconds, verdict.timed, verdict.ratio) == (100.0, 2, 3.0)
    untimed = protocol.judge(stock[1:], arm)
    assert untimed.ratio is None


def test_lengths_are_judged_apart() -> None:
    short = runs('stock', 26.0) + runs('arm', 26.1)
    long = [{**line, 'length': 44} for line in runs('stock', 27.0) + runs('arm', 26.9)]
    found = summary.summarise([*short, *long], ['stock', 'arm'])['lengths']
    assert [found[length]['arm']['counts'] for length in (11, 44)] == [True, False]


def test_an_iteration_is_told_without_the_start() -> None:
    assert summary.parts([run('arm', 1000, 26.0)])['whole'] == pytest.approx(100.0)
    assert summary.parts([run('arm', 1000, 26.0)])['loading'] == pytest.approx(25.0)

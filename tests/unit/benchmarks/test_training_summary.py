"""The sums of benchmarks/training.py, on records made by hand."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from typing import Any

import pytest

FILE = Path(__file__).parents[3] / 'benchmarks/training_summary.py'
spec = importlib.util.spec_from_file_location('training_summary', FILE)
assert spec is not None and spec.loader is not None
summary = importlib.util.module_from_spec(spec)
spec.loader.exec_module(summary)

CURVE = [(10, 100.0, 25.0), (20, 200.0, 26.0), (30, 300.0, 26.5)]


def run(arm: str, seed: int, curve: Any, milliseconds: float = 100.0, loading: float = 0.0) -> dict[str, Any]:
    """A record of 11 iterations, of which the first took 5 s."""
    parts = dict.fromkeys(summary.PARTS, 0.0)
    row = {'iterations': 10, 'seconds': milliseconds / 100, **parts, 'loading': loading / 100}
    first = {'iterations': 1, 'seconds': 5.0, **parts}
    return {
        'kind': 'run', 'arm': arm, 'seed': seed, 'curve': curve, 'iterations': 11, 'seconds': 5 + milliseconds / 100,
        'shapes': {summary.FIRST: first, '3x8x192': row},
        'machine': {'cores': 2}, 'commit': 'c', 'versions': {}, 'load': [0, 0, 0],
    }  # fmt: skip


@pytest.mark.parametrize(
    ('value', 'seconds'), [(24.0, 100.0), (25.0, 100.0), (25.5, 150.0), (26.25, 250.0), (26.5, 300.0), (26.6, math.inf)]
)
def test_seconds_to_a_value_are_read_off_the_curve(value: float, seconds: float) -> None:
    assert summary.seconds_to(CURVE, value) == pytest.approx(seconds)


def test_a_dip_does_not_count_as_reached() -> None:
    curve = [(1, 1.0, 25.0), (2, 2.0, 24.0), (3, 3.0, 26.0)]
    assert summary.seconds_to(curve, 25.5) == pytest.approx(2.75)


def test_arms_are_compared_with_the_reference_of_their_own_seed() -> None:
    lines = [
        run('stock', 0, [(1, 100.0, 26.0), (2, 200.0, 27.02)]),
        run('stock', 1, [(1, 100.0, 26.0), (2, 200.0, 28.02)]),
        run('all', 0, [(1, 10.0, 26.0), (2, 20.0, 27.0)]),
        run('all', 1, [(1, 10.0, 26.0), (2, 50.0, 28.0)]),
    ]
    found = summary.summarise(lines, ['stock', 'all'])['arms']
    # stock has 27.0 and 28.0 dB shortly before its end
    ends = [100 + 100 * 1.0 / 1.02, 100 + 100 * 2.0 / 2.02]
    assert found['stock']['ratio'] == 1
    assert found['all']['ratio_range'] == pytest.approx([ends[1] / 50, ends[0] / 20])
    assert found['all']['psnr_difference'] == pytest.approx(-0.02)
    assert found['all']['psnr_standard_error'] == pytest.approx(0, abs=1e-9)


def test_an_arm_that_never_gets_there_is_zero_times_as_fast() -> None:
    found = summary.summarise([run('stock', 0, CURVE), run('all', 0, CURVE[:2])], ['stock', 'all'])['arms']['all']
    assert found['ratio'] == 0 and found['to_target'] is None


def test_the_curriculum_alone_is_compared_without_waiting_for_data() -> None:
    lines = [
        run('stock', 0, CURVE),
        run('store', 0, CURVE, milliseconds=500, loading=100),
        run('curriculum + store', 0, CURVE, milliseconds=300, loading=100),
    ]
    alone = summary.summarise(lines, ['stock', 'store', 'curriculum + store'])['curriculum_without_loading']
    assert alone == pytest.approx({'ratio': 2.0, 'whole': 5 / 3})


def test_a_prediction_is_held_against_iterations_without_the_start() -> None:
    lines = [
        run('stock', 0, CURVE), run('store', 0, CURVE, 1000), run('curriculum + store', 0, CURVE, 600),
        {
            **run('', 0, CURVE), 'kind': 'prediction', 'arm': 'curriculum + store',
            'seconds': {'baseline': 11.0, 'multigrid': 5.5}, 'ideal_speedup': 2.0,
        },
    ]  # fmt: skip
    baseline, planned = summary.summarise(lines, ['stock', 'store', 'curriculum + store'])['predictions']
    assert (baseline['took'], planned['took']) == pytest.approx((11.0, 6.6))
    assert (baseline['deviation'], planned['deviation']) == pytest.approx((0.0, 5.5 / 6.6 - 1))

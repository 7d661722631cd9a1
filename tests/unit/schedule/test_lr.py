"""Learning-rate curves: as tables, and against BasicSR's own schedulers stepped one iteration after another."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mg_basicsr.schedule.lr import (
    Constant,
    Cosine,
    CosineRestart,
    Curve,
    HostCurve,
    Linear,
    MultiStep,
    Rate,
    StepDown,
    batch_lr_scale,
    warmup_factor,
)
from tests.helpers.host_schedulers import stepped


@pytest.mark.parametrize(
    ('curve', 'values'),
    [
        (Constant(), {0: 1, 1: 1, 10**9: 1}),
        (Linear(100), {0: 1, 25: 0.75, 100: 0, 200: 0}),
        (Cosine(100), {0: 1, 50: 0.5, 100: 0, 200: 0}),
        (Cosine(75_000), {12_500: 0.93301, 37_500: 0.5}),
        (CosineRestart((100, 100), (1, 0.5)), {0: 1, 50: 0.5, 100: 0, 101: 0.49988, 150: 0.25, 200: 0, 999: 0}),
        (MultiStep((10, 20, 20), 0.5), {0: 1, 9: 1, 10: 0.5, 19: 0.5, 20: 0.125, 10**9: 0.125}),
        (MultiStep((10,), 0.1, (0, 10, 30), (1, 0.5, 2)), {9: 1, 10: 0.5, 29: 0.5, 30: 2}),
        (MultiStep((0, 10), 0.5, (5,), (0.7,)), {0: 0.5, 4: 0.5, 5: 0.7, 10: 0.35}),
        (MultiStep((), 0.5), {0: 1, 10**9: 1}),
        (HostCurve(Linear(100), start=10, stride=Fraction(4)), {0: 0.6, 5: 0.4}),
        (HostCurve(Linear(100), start=10, stride=Fraction(3, 2)), {0: 0.85, 1: 0.84, 2: 0.82}),
        (HostCurve(Linear(100), start=0, stride=Fraction(1, 2)), {0: 1, 1: 1, 2: 0.99, 3: 0.99}),
        (HostCurve(Linear(100), start=10, stride=Fraction(4), shift=Fraction(-20)), {0: 0.8, 5: 0.6}),
        (StepDown(5, 0.1), {0: 1, 4: 1, 5: 0.1, 500: 0.1}),
        (CosineRestart((10, 10), (1, 0.5), (0.2, 0)), {0: 1, 5: 0.6, 10: 0.2, 15: 0.25, 20: 0, 30: 0}),
    ],
)
def test_curves(curve: Curve, values: dict[int, float]) -> None:
    assert {k: curve(k) for k in values} == pytest.approx(values, abs=1e-5)


@pytest.mark.parametrize(
    ('iteration', 'warmup_iter', 'factor'),
    [(0, 4, 0.25), (1, 4, 0.5), (3, 4, 1.0), (4, 4, 1.0), (0, 0, 1.0), (0, -1, 1.0), (0, 1, 1.0)],
)
def test_warmup(iteration: int, warmup_iter: int, factor: float) -> None:
    assert warmup_factor(iteration, warmup_iter) == factor


@pytest.mark.parametrize(
    ('multiple', 'rule', 'factor'),
    [(4, 'linear', 4), (4, 'sqrt', 2), (4, 'none', 1), (0.25, 'linear', 0.25), (0.25, 'sqrt', 0.5), (1, 'linear', 1)],
)
def test_batch_rules(multiple: float, rule: str, factor: float) -> None:
    assert batch_lr_scale(multiple, rule) == factor


def test_the_rate_of_a_group() -> None:
    """warmup * (floor + (first * initial / base - floor) * factor)."""
    rate = Rate(warmup=0.5, first=8e-4, base_lr=2e-4, floor=1e-5, factor=0.75)
    assert rate(2e-4) == pytest.approx(0.5 * (1e-5 + (8e-4 - 1e-5) * 0.75))
    assert rate(2.5e-5) == pytest.approx(0.5 * (1e-5 + (1e-4 - 1e-5) * 0.75))


ETA_MIN, LR = 1e-3, 0.7


def planned(curve: Curve, iterations: int, floor: float) -> list[float]:
    return [Rate(1.0, LR, LR, floor, curve(k))(LR) for k in range(iterations)]


@given(
    periods=st.lists(st.integers(1, 12), min_size=1, max_size=4),
    weights=st.lists(st.floats(0.1, 2), min_size=4, max_size=4),
)
def test_cosine_restart_is_basicsrs(periods: list[int], weights: list[float]) -> None:
    weights = weights[: len(periods)]
    length = sum(periods) + 1  # past the last period BasicSR raises
    options = {'periods': periods, 'restart_weights': weights, 'eta_min': ETA_MIN}
    curve = CosineRestart(tuple(periods), tuple(weights))
    expected = stepped('CosineAnnealingRestartLR', LR, length, **options)
    assert planned(curve, length, ETA_MIN) == pytest.approx(expected, rel=1e-12)
    assert planned(curve, length + 50, ETA_MIN)[length:] == pytest.approx([ETA_MIN] * 50, rel=1e-9)


@given(
    milestones=st.lists(st.integers(0, 30), max_size=5),
    gamma=st.floats(0.1, 1),
    restarts=st.dictionaries(st.integers(0, 30), st.floats(0.1, 2), min_size=1, max_size=4),
)
def test_multi_step_is_basicsrs(milestones: list[int], gamma: float, restarts: dict[int, float]) -> None:
    at = sorted(restarts)
    weights = [restarts[k] for k in at]
    options = {'milestones': milestones, 'gamma': gamma, 'restarts': at, 'restart_weights': weights}
    curve = MultiStep(tuple(milestones), gamma, tuple(at), tuple(weights))
    assert planned(curve, 40, 0.0) == pytest.approx(stepped('MultiStepRestartLR', LR, 40, **options), rel=1e-12)

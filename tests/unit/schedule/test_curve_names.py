"""Curves by name."""

from __future__ import annotations

from fractions import Fraction

import pytest

from mg_basicsr.schedule.curve_names import parse_curve
from mg_basicsr.schedule.lr import Constant, Cosine, Curve, HostCurve, Linear, StepDown

HOST = Linear(1000)


@pytest.mark.parametrize(
    ('text', 'curve'),
    [
        ('constant', Constant()),
        ('linear', Linear(50)),
        ('linear 80', Linear(80)),
        ('cosine', Cosine(50)),
        ('cosine 75000', Cosine(75_000)),
        (' cosine 75000 ', Cosine(75_000)),
        ('step 7 0.1', StepDown(7, 0.1)),
        ('step 0 1e-05', StepDown(0, 1e-5)),
        ('host', HostCurve(HOST, 20)),
        ('host 4', HostCurve(HOST, 20, Fraction(4))),
        ('host 3/2', HostCurve(HOST, 20, Fraction(3, 2))),
        ('host 4 from 100', HostCurve(HOST, 20, Fraction(4), Fraction(20))),
        ('host 3/2 from 61/2', HostCurve(HOST, 20, Fraction(3, 2), Fraction(1, 2))),
        ('host 4 from 80', HostCurve(HOST, 20, Fraction(4))),
    ],
)
def test_curve_names(text: str, curve: Curve) -> None:
    assert parse_curve(text, iters=50, start=20, host_curve=HOST) == curve


@pytest.mark.parametrize(
    'curve',
    [
        Constant(),
        Linear(80),
        Cosine(9),
        StepDown(7, 0.1),
        StepDown(7, 0.1**3 / 0.1**2),
        StepDown(7, 1e-4 * (1 + 2**-52)),
        HostCurve(HOST, 20, Fraction(3, 2)),
        HostCurve(HOST, 20, Fraction(3, 2), Fraction(-7, 3)),
    ],
)
def test_a_curve_is_printed_as_its_name(curve: Curve) -> None:
    assert parse_curve(str(curve), iters=50, start=20, host_curve=HOST) == curve


@pytest.mark.parametrize(
    'text',
    [
        '', 'cos', 'constant 3', 'linear 0', 'linear -5', 'linear x', 'cosine 1.5', 'cosine 1e3', 'cosine 5 6',
        'step', 'step 5', 'step 0.5 1', 'step 5 -1', 'step 5 nan', 'step 5 x', 'step 5 1 2', 'host 4 from',
        'host from 4', 'host 4 from -1', 'host 4 from 1/0', 'host 4 4', 'host 0', 'host -1',
        'host 1/0', 'host 1.5', 'host nan', 'host 1e999999999', 'Cosine',
    ],
)  # fmt: skip
def test_names_that_are_not_curves(text: str) -> None:
    with pytest.raises(ValueError):
        parse_curve(text, iters=50, start=20, host_curve=HOST)

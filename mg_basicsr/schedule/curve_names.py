"""Names of learning-rate curves, as stages that are written out have them; `str(curve)` gives the name of a curve."""

from __future__ import annotations

import re
from fractions import Fraction

from mg_basicsr.schedule.lr import Constant, Cosine, Curve, HostCurve, Linear, StepDown

CURVES = ('constant', 'step N G', 'linear', 'linear N', 'cosine', 'cosine N', 'host', 'host M', 'host M from N')

# Lengths are limited, so that any number that matches is cheap to compute with.
_NUMBER = r'[1-9]\d{0,18}'
_RATIO = r'[1-9]\d{0,8}(?:/[1-9]\d{0,8})?'
_FRACTION = r'\d{1,19}(?:/[1-9]\d{0,8})?'
_FACTOR = r'\d{1,19}(?:\.\d{0,24})?(?:e[+-]?\d{1,2})?'


def parse_curve(text: str, *, iters: int, start: int, host_curve: Curve) -> Curve:
    """Return the curve of a name.

    - `constant`;
    - `step N G`: full for N iterations, then G (0.1) times as much;
    - `linear`, `cosine`: over the stage; `linear N`, `cosine N`: over N iterations, of which the stage shows the first;
    - `host M`: the file's own schedule, read at M (4, or 3/2) times the run's iteration;
    - `host M from N`: the same at M times the stage's iteration, beginning at the file's iteration N.

    >>> parse_curve('cosine', iters=50, start=0, host_curve=Constant())
    Cosine(period=50)
    >>> str(parse_curve('host 3/2 from 100', iters=50, start=20, host_curve=Constant()))
    'host 3/2 from 100'

    Args:
        text: The name.
        iters: Length of the stage in iterations.
        start: First iteration of the stage in the run, 0-based.
        host_curve: The file's own schedule.

    Raises:
        ValueError: not one of CURVES.
    """
    name, _, argument = text.strip().partition(' ')
    if name == 'constant' and not argument:
        return Constant()
    if name in ('linear', 'cosine') and re.fullmatch(f'|{_NUMBER}', argument):
        period = int(argument or iters)
        return Linear(period) if name == 'linear' else Cosine(period)
    if name == 'step' and (halves := re.fullmatch(rf'(\d{{1,19}}) ({_FACTOR})', argument)):
        return StepDown(int(halves[1]), float(halves[2]))
    if name == 'host' and re.fullmatch(f'|{_RATIO}', argument):
        return HostCurve(host_curve, start, Fraction(argument or 1))
    if name == 'host' and (places := re.fullmatch(f'({_RATIO}) from ({_FRACTION})', argument)):
        stride = Fraction(places[1])
        return HostCurve(host_curve, start, stride, Fraction(places[2]) - start * stride)
    raise ValueError(text)

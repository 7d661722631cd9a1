"""Learning rates as pure functions of the iteration.

A stage's curve gives a factor f(k), 1 for the stage's full rate and 0 for the floor; k counts its iterations from 0.
The rate of a parameter group is

    lr = warmup(i) * (floor + (first * initial_lr / base_lr - floor) * f(k))

with `first` = the stage's starting rate (scaled by the batch, capped), `floor` = the minimum of the file's scheduler,
`base_lr` = the file's rate. A group's own multiple (`flow_lr_mul`) is in its `initial_lr`.

>>> curve = Cosine(100)
>>> [round(curve(k), 3) for k in (0, 25, 50, 100, 150)]
[1.0, 0.854, 0.5, 0.0, 0.0]
>>> rate = Rate(warmup=warmup_factor(9, 20), first=4e-4, base_lr=2e-4, floor=1e-7, factor=curve(50))
>>> f'{rate(2e-4):.3e}, a group at a tenth of the rate: {rate(2e-5):.3e}'
'1.000e-04, a group at a tenth of the rate: 1.002e-05'
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol


class Curve(Protocol):
    """Learning-rate factor of a stage as a function of its iteration."""

    def __call__(self, k: int) -> float:
        """Return the factor at the stage's iteration k >= 0: 1 = the stage's full rate, 0 = the floor."""
        ...


@dataclass(frozen=True, slots=True)
class Constant:
    """Constant factor f(k) = 1."""

    def __call__(self, k: int) -> float:
        """Return f(k)."""
        return 1.0

    def __str__(self) -> str:
        return 'constant'


@dataclass(frozen=True, slots=True)
class StepDown:
    """Step f(k) = 1 for k < at, and `factor` from there on (the two halves of wu2020's fine-tuning).

    Attributes:
        at: Iteration of the step.
        factor: Factor from there on.

    >>> [StepDown(at=10, factor=0.1)(k) for k in (0, 9, 10)]
    [1.0, 1.0, 0.1]
    """

    at: int
    factor: float

    def __call__(self, k: int) -> float:
        """Return f(k)."""
        return 1.0 if k < self.at else self.factor

    def __str__(self) -> str:
        return f'step {self.at} {self.factor!r}'


@dataclass(frozen=True, slots=True)
class Linear:
    """Line f(k) = 1 - k / period, not below 0.

    >>> [Linear(4)(k) for k in (0, 1, 4, 9)]
    [1.0, 0.75, 0.0, 0.0]
    """

    period: int

    def __call__(self, k: int) -> float:
        """Return f(k)."""
        return max(0.0, 1 - k / self.period)

    def __str__(self) -> str:
        return f'linear {self.period}'


@dataclass(frozen=True, slots=True)
class Cosine:
    """Cosine f(k) = (1 + cos(pi * k / period)) / 2 up to `period`, then 0.

    Source: Loshchilov and Hutter 2017; equation 1 of lin2022 as its text reads.
    """

    period: int

    def __call__(self, k: int) -> float:
        """Return f(k)."""
        return (1 + math.cos(math.pi * min(k / self.period, 1.0))) / 2

    def __str__(self) -> str:
        return f'cosine {self.period}'


@dataclass(frozen=True, slots=True)
class CosineRestart:
    """Cosine with restarts: BasicSR's CosineAnnealingRestartLR as a function.

    Past the last period the factor stays at the minimum, where BasicSR raises.

    Attributes:
        periods: Length of each period in iterations.
        weights: Factor at the start of each period.
        minima: Factor at the end of each period (CosineAnnealingRestartCyclicLR of Restormer's repository and those
            built on it); empty for 0.

    >>> curve = CosineRestart(periods=(100, 100), weights=(1.0, 0.5))
    >>> [round(curve(k), 3) for k in (0, 50, 100, 101, 150, 200)]
    [1.0, 0.5, 0.0, 0.5, 0.25, 0.0]
    """

    periods: tuple[int, ...]
    weights: tuple[float, ...]
    minima: tuple[float, ...] = ()

    def __call__(self, k: int) -> float:
        """Return f(k)."""
        ends = _cumulative(self.periods)
        k = min(k, ends[-1])
        n = bisect_left(ends, k)  # BasicSR counts a period's end as its own last point
        start = ends[n] - self.periods[n]
        minimum = self.minima[n] if self.minima else 0.0
        cosine = (1 + math.cos(math.pi * (k - start) / self.periods[n])) / 2
        return minimum + self.weights[n] * (1 - minimum) * cosine


@dataclass(frozen=True, slots=True)
class MultiStep:
    """Steps with restarts: BasicSR's MultiStepRestartLR as a function.

    Attributes:
        milestones: Iterations from which the factor is multiplied by `gamma`, ascending.
        gamma: Factor per milestone.
        restarts: Iterations from which only later milestones count, ascending.
        weights: Factor at each restart.

    >>> [MultiStep(milestones=(50, 75), gamma=0.5)(k) for k in (0, 49, 50, 75)]
    [1.0, 1.0, 0.5, 0.25]
    """

    milestones: tuple[int, ...]
    gamma: float
    restarts: tuple[int, ...] = (0,)
    weights: tuple[float, ...] = (1.0,)

    def __call__(self, k: int) -> float:
        """Return f(k)."""
        # Before the first restart every milestone counts, even one at 0. One at a restart does not: there BasicSR sets
        # the rate instead of multiplying it.
        n = bisect_right(self.restarts, k) - 1
        restart, weight = (self.restarts[n], self.weights[n]) if n >= 0 else (-1, 1.0)
        passed = sum(restart < milestone <= k for milestone in self.milestones)
        return math.prod((self.gamma,) * passed, start=weight)


@dataclass(frozen=True, slots=True)
class HostCurve:
    """Schedule of the options file itself, read at `stride` times the run's iteration.

    Attributes:
        curve: The file's schedule as a function of the file's iteration.
        start: First iteration of the stage in the run.
        stride: Iterations of the file per iteration of the run: batch / base batch.
        shift: Iterations of the file that are added where earlier stages had other strides.
    """

    curve: Curve
    start: int
    stride: Fraction = Fraction(1)
    shift: Fraction = Fraction(0)

    def __call__(self, k: int) -> float:
        """Return f(k)."""
        # exact fractions: a float just below a whole iteration would be cut to the one before
        return self.curve(int((self.start + k) * self.stride + self.shift))

    def __str__(self) -> str:
        origin = f' from {self.start * self.stride + self.shift}' if self.shift else ''
        return f'host {self.stride}{origin}'


@dataclass(frozen=True, slots=True)
class Rate:
    """Learning rate of one iteration for any parameter group. Call it with the group's initial rate.

    Attributes:
        warmup: Factor of the warm-up, in (0, 1].
        first: Starting rate of the stage for a group at `base_lr`, absolute.
        base_lr: The options file's rate, > 0.
        floor: Rate at factor 0, absolute.
        factor: The curve's value at this iteration.
    """

    warmup: float
    first: float
    base_lr: float
    floor: float
    factor: float

    def __call__(self, initial_lr: float) -> float:
        """Return the rate of a group with this initial rate."""
        return self.warmup * (self.floor + (self.first * (initial_lr / self.base_lr) - self.floor) * self.factor)


def warmup_factor(iteration: int, warmup_iter: int) -> float:
    """Return the factor of linear warm-up, min(1, (i + 1) / W).

    Args:
        iteration: Iteration i of the run, 0-based.
        warmup_iter: Iterations W of the warm-up; no warm-up, and factor 1, where W <= 0.

    >>> [warmup_factor(i, 4) for i in (0, 1, 3, 10)]
    [0.25, 0.5, 1.0, 1.0]
    """
    return min(1.0, (iteration + 1) / warmup_iter) if warmup_iter > 0 else 1.0


def batch_lr_scale(multiple: float, rule: str) -> float:
    """Return the factor on the learning rate for a mini-batch that is `multiple` times larger.

    Args:
        multiple: Clips of the mini-batch relative to the baseline's, > 0.
        rule: 'linear' (Goyal et al. 2017; lin2022), 'sqrt' (Malladi et al. 2022, for Adam) or 'none'.
    """
    return {'linear': multiple, 'sqrt': math.sqrt(multiple), 'none': 1.0}[rule]


def _cumulative(periods: Sequence[int]) -> list[int]:
    ends: list[int] = []
    for period in periods:
        ends.append(period + (ends[-1] if ends else 0))
    return ends

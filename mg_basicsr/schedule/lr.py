"""Learning rates as pure functions of the iteration.

A stage's curve gives a factor f(k), 1 at the stage's start and 0 at the floor; k counts iterations from the start.
The rate of a parameter group is

    lr = warmup(i) * (floor + (first * initial_lr / base_lr - floor) * f(k))

with `first` = the stage's starting rate (scaled by the batch, capped), `floor` = the minimum of the file's scheduler,
`base_lr` = the file's rate. A group's own multiple (`flow_lr_mul`) is in its `initial_lr`.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol


class Curve(Protocol):
    """A stage's learning-rate factor."""

    def __call__(self, k: int) -> float:
        """Factor at the stage's iteration k >= 0: 1 = the stage's full rate, 0 = the floor."""
        ...


@dataclass(frozen=True, slots=True)
class Constant:
    """f(k) = 1."""

    def __call__(self, k: int) -> float:
        return 1.0

    def __str__(self) -> str:
        return 'constant'


@dataclass(frozen=True, slots=True)
class StepDown:
    """f(k) = 1 for k < at, and `factor` from there on (the two halves of wu2020's fine-tuning)."""

    at: int
    factor: float

    def __call__(self, k: int) -> float:
        return 1.0 if k < self.at else self.factor

    def __str__(self) -> str:
        return f'step {self.at} {self.factor!r}'


@dataclass(frozen=True, slots=True)
class Linear:
    """f(k) = 1 - k / period, not below 0."""

    period: int

    def __call__(self, k: int) -> float:
        return max(0.0, 1 - k / self.period)

    def __str__(self) -> str:
        return f'linear {self.period}'


@dataclass(frozen=True, slots=True)
class Cosine:
    """f(k) = (1 + cos(pi * k / period)) / 2 (Loshchilov and Hutter 2017; lin2022's equation 1 as its text reads)."""

    period: int

    def __call__(self, k: int) -> float:
        return (1 + math.cos(math.pi * min(k / self.period, 1.0))) / 2

    def __str__(self) -> str:
        return f'cosine {self.period}'


@dataclass(frozen=True, slots=True)
class CosineRestart:
    """BasicSR's CosineAnnealingRestartLR as a function: a cosine per period, each times its restart weight.

    Past the last period it stays at the minimum, where BasicSR would raise. `minima`: a minimum for each period, as a
    factor like f itself (CosineAnnealingRestartCyclicLR, which Restormer's repository and those built on it have).
    """

    periods: tuple[int, ...]
    weights: tuple[float, ...]
    minima: tuple[float, ...] = ()

    def __call__(self, k: int) -> float:
        ends = _cumulative(self.periods)
        k = min(k, ends[-1])
        n = bisect_left(ends, k)  # BasicSR counts a period's end as its own last point
        start = ends[n] - self.periods[n]
        minimum = self.minima[n] if self.minima else 0.0
        cosine = (1 + math.cos(math.pi * (k - start) / self.periods[n])) / 2
        return minimum + self.weights[n] * (1 - minimum) * cosine


@dataclass(frozen=True, slots=True)
class MultiStep:
    """BasicSR's MultiStepRestartLR as a function: times gamma at each milestone since the last restart."""

    milestones: tuple[int, ...]
    gamma: float
    restarts: tuple[int, ...] = (0,)
    weights: tuple[float, ...] = (1.0,)

    def __call__(self, k: int) -> float:
        n = bisect_right(self.restarts, k) - 1
        restart, weight = (self.restarts[n], self.weights[n]) if n >= 0 else (-1, 1.0)
        passed = sum(restart < milestone <= k for milestone in self.milestones)
        return math.prod((self.gamma,) * passed, start=weight)


@dataclass(frozen=True, slots=True)
class HostCurve:
    """The file's own schedule, read at `stride` times the run's iteration (`stride` = batch / base batch).

    `shift`, in iterations of the file, is added where earlier stages had other strides.
    """

    curve: Curve
    start: int
    stride: Fraction = Fraction(1)
    shift: Fraction = Fraction(0)

    def __call__(self, k: int) -> float:
        return self.curve(int((self.start + k) * self.stride + self.shift))

    def __str__(self) -> str:
        origin = f' from {self.start * self.stride + self.shift}' if self.shift else ''
        return f'host {self.stride}{origin}'


@dataclass(frozen=True, slots=True)
class Rate:
    """The learning rate of one iteration, for any parameter group: call it with the group's initial rate."""

    warmup: float
    first: float
    base_lr: float
    floor: float
    factor: float

    def __call__(self, initial_lr: float) -> float:
        return self.warmup * (self.floor + (self.first * (initial_lr / self.base_lr) - self.floor) * self.factor)


def warmup_factor(iteration: int, warmup_iter: int) -> float:
    """Linear warm-up: min(1, (i + 1) / W) over the run's first W iterations; 1 without one (W <= 0)."""
    return min(1.0, (iteration + 1) / warmup_iter) if warmup_iter > 0 else 1.0


def batch_lr_scale(multiple: float, rule: str) -> float:
    """Factor on the rate when the mini-batch is `multiple` times larger.

    Rules: linear (Goyal et al. 2017; lin2022), sqrt (Malladi et al. 2022, for Adam), none.
    """
    return {'linear': multiple, 'sqrt': math.sqrt(multiple), 'none': 1.0}[rule]


def _cumulative(periods: Sequence[int]) -> list[int]:
    ends: list[int] = []
    for period in periods:
        ends.append(period + (ends[-1] if ends else 0))
    return ends

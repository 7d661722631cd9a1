"""Cycles and learning-rate steps as they are written in a block, and their parsers."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

from mg_basicsr.parsing.problems import Problems, read_section, reads
from mg_basicsr.parsing.values import MOST_CLIPS, fraction_or_count, integer, list_of, or_off, pair_of, positive

FRACTIONS = list_of(fraction_or_count, 'a list of fractions such as [0.5, 1.0], or of whole numbers above 1')
SHORT_CYCLE = or_off(FRACTIONS, 'a list of sizes such as [0.5, 0.7071], fractions or GT pixels, or false')
LONG_CYCLE = or_off(
    list_of(pair_of(fraction_or_count, ''), ''),
    'a list of [time, size] such as [[0.25, 0.7071], [1.0, 1.0]], fractions or whole numbers above 1, or false',
)


@dataclass(frozen=True)
class ShortShape:
    """One shape of an explicit short cycle."""

    clips: int
    frames: int
    gt_size: int


def _short_shape(value: Any) -> ShortShape:
    clips, frames, gt_size = list_of(integer(1), '')(value)
    return ShortShape(integer(1, MOST_CLIPS)(clips), frames, gt_size)


EXPLICIT_CYCLE = list_of(_short_shape, 'a list of [clips, frames, gt_size], taken in turn')


class LrSteps(NamedTuple):
    """Iterations of the file at which the rate is multiplied by gamma."""

    milestones: tuple[int, ...]
    gamma: float = 0.1


STEP_KEYS = {'milestones': reads(list_of(integer(1), 'a list of integers >= 1')), 'gamma': reads(positive)}


def lr_steps(path: str, value: Any, problems: Problems) -> LrSteps | None:
    """`{milestones, gamma}`, or the milestones alone."""
    section = {'milestones': value} if isinstance(value, list) else value
    values = read_section(path, section, STEP_KEYS, ['milestones'], problems)
    return None if values is None else LrSteps(**values)


def epoch_factor(value: Any) -> Fraction:
    """Samples of the run relative to the baseline's, the decimal number that was written."""
    factor = positive(value)
    if factor > 1000:
        raise ValueError('a number > 0, at most 1000')
    return Fraction(str(factor))

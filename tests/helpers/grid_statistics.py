"""Whether counts are as a distribution says, and where two pictures lie against each other."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np


def assert_uniform(drawn: Iterable[Any], over: Iterable[Any]) -> None:
    """Pearson's chi-square test against equal frequencies, at a level of 0.001; nothing else may have been drawn.

    The quantile is Wilson and Hilferty's, exact to a per cent.
    """
    counts, values = Counter(drawn), list(over)
    assert set(counts) <= set(values)
    expected = counts.total() / len(values)
    assert expected >= 20, 'too few to tell'
    statistic = sum((counts[value] - expected) ** 2 / expected for value in values)
    free = max(1, len(values) - 1)
    assert statistic < free * (1 - 2 / (9 * free) + 3.09 * math.sqrt(2 / (9 * free))) ** 3, counts


def shift(first: Any, second: Any) -> tuple[float, float]:
    """How far the second picture, (h, w) or (3, h, w), lies to the right of and below the first, in pixels."""
    grey = [np.asarray(image, np.float32).reshape(-1, *np.shape(image)[-2:]).mean(axis=0) for image in (first, second)]
    window = cv2.createHanningWindow(grey[0].shape[::-1], cv2.CV_32F)
    (x, y), _ = cv2.phaseCorrelate(*(image - image.mean() for image in grey), window)
    return x, y

"""Measured values, and the size of validation sets."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np

from mg_basicsr.host.progress.measures import Measures, peak_memory, skipped_steps, validation_pixels
from mg_basicsr.training.precision.gradient_guard import GradientGuard
from mg_basicsr.training.rates import PlannedRates


def test_between_two_lines() -> None:
    first = Measures().with_clips(4, 100).with_waiting(0.5).at(1, 2.0)
    second = first.with_clips(8, 300).with_waiting(1.0).at(3, 6.0)
    window = second.since(first)
    assert (window.clips_per_second, window.pixels_per_second) == (2.0, 75.0)
    assert (window.seconds_per_iteration, window.waiting_per_iteration) == (2.0, 0.5)
    assert Measures().clips_per_second == Measures().seconds_per_iteration == 0.0


def test_pixels_of_validation_sets(tmp_path: Path) -> None:
    path = str(tmp_path / 'a.png')
    cv2.imwrite(path, np.zeros((20, 30, 3), np.uint8))
    assert validation_pixels(SimpleNamespace(data_info={'gt_path': [path] * 4})) == 2400
    assert validation_pixels(SimpleNamespace(paths=[{'lq_path': '', 'gt_path': path}] * 2)) == 1200
    for unknown in ({}, {'paths': []}, {'paths': ['key/of/an/lmdb']}, {'data_info': {'folder': ['a']}}):
        assert validation_pixels(SimpleNamespace(**unknown)) is None
    (tmp_path / 'a.png').write_bytes(b'damaged')
    assert validation_pixels(SimpleNamespace(paths=[path])) is None


def test_what_there_is_not() -> None:
    assert peak_memory('cpu') is None
    assert skipped_steps([PlannedRates()]) is None
    assert skipped_steps([PlannedRates(), GradientGuard('float16')]) == 0

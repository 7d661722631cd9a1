"""Clips as lists of frame numbers: sliding windows around a center, and clips played backwards."""

from __future__ import annotations

import random

from mg_basicsr.errors import ConfigError
from mg_basicsr.train_set import window_problem


def check_sliding_window(frames: int) -> None:
    """Raise ConfigError unless the window has as many frames before its center as after it."""
    if frames % 2 == 0:
        raise ConfigError(window_problem(frames))


def window_around(center: int, frames: int, interval: int = 1) -> list[int]:
    """The frames of a sliding window; `frames` is odd."""
    half = frames // 2
    return [center + interval * offset for offset in range(-half, half + 1)]


def draw_stride(rng: random.Random, length: int, frames: int, interval: int, most: int) -> int:
    """Random stride between the frames of a clip, in intervals.

    Uniform on 1 .. `most`; in a sequence of `length` frames that is too short for some of these, uniform on those that
    fit, 1 .. min(most, (length - 1) // ((frames - 1) * interval)). Where `most` is 1 no number is drawn.
    """
    if most == 1 or frames == 1:
        return 1
    fitting = (length - 1) // ((frames - 1) * interval)
    return rng.randint(1, max(1, min(most, fitting)))


def maybe_reversed(rng: random.Random, frames: list[int], random_reverse: bool) -> list[int]:
    """The clip, or for half of the samples its reverse; draws no number if that is switched off."""
    return frames[::-1] if random_reverse and rng.random() < 0.5 else frames

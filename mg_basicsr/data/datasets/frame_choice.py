"""Frame numbers of clips: sliding windows around a center, random strides, reversed clips."""

from __future__ import annotations

import random

from mg_basicsr.errors import ConfigError
from mg_basicsr.train_set import window_problem


def check_sliding_window(frames: int) -> None:
    """Check that a sliding window has as many frames before its center as after it.

    Raises:
        ConfigError: the number of frames is even.
    """
    if frames % 2 == 0:
        raise ConfigError(window_problem(frames))


def window_around(center: int, frames: int, interval: int = 1) -> list[int]:
    """Return the frames of a sliding window.

    Args:
        center: Its middle frame.
        frames: Number of frames, odd.
        interval: Step between neighbouring frames, >= 1.
    """
    half = frames // 2
    return [center + interval * offset for offset in range(-half, half + 1)]


def draw_stride(rng: random.Random, length: int, frames: int, interval: int, most: int) -> int:
    """Draw the stride between the frames of a clip, in intervals.

    Uniform on 1 .. `most`; in a sequence that is too short for some of these, uniform on those that fit,
    1 .. min(most, (length - 1) // ((frames - 1) * interval)).

    Args:
        rng: The sample's random numbers; none is drawn where `most` or `frames` is 1.
        length: Frames of the sequence.
        frames: Frames of the clip, >= 1.
        interval: Step between neighbouring frames at stride 1, >= 1.
        most: Largest stride, >= 1.
    """
    if most == 1 or frames == 1:
        return 1
    fitting = (length - 1) // ((frames - 1) * interval)
    return rng.randint(1, max(1, min(most, fitting)))


def maybe_reversed(rng: random.Random, frames: list[int], random_reverse: bool) -> list[int]:
    """Return the clip, reversed with probability 1/2.

    Args:
        rng: The sample's random numbers; none is drawn if the option is off.
        frames: Frames of the clip.
        random_reverse: The option of BasicSR's datasets.
    """
    return frames[::-1] if random_reverse and rng.random() < 0.5 else frames

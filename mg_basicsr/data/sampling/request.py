"""Requests for samples: made by the sampler, sent to the workers, answered by the datasets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """Request for one clip.

    Everything that is random about the sample (interval, stride, start frame, reversal, span, crop position, flips) is
    a function of `seed`, and `seed` is a function of the run's seed and the clip's position. A sample is therefore the
    same in any worker, on any rank and after any resume.

    Attributes:
        index: Position in the dataset's key list, 0 <= index < len(dataset).
        frames: Frames as the network sees them (mirrored clips: both halves), >= 1.
        gt_size: Edge of the square GT crop in pixels; a multiple of the scale.
        seed: 64-bit seed of this sample's random numbers.
        max_stride: Largest stride between frames, in intervals, >= 1. 1: consecutive frames.
        max_span: Largest GT span, in pixels, that may be resampled to the crop. 0: no resampling.
    """

    index: int
    frames: int
    gt_size: int
    seed: int
    max_stride: int = 1
    max_span: int = 0


class BatchRequests(list[SampleRequest]):
    """Requests for a rank's mini-batch, in order, all of one shape.

    Args:
        iteration: The 0-based iteration that they are for.
        requests: One per clip.
    """

    def __init__(self, iteration: int, requests: Iterable[SampleRequest]) -> None:
        super().__init__(requests)
        self.iteration = iteration

    def __reduce__(self) -> tuple[Any, ...]:
        return BatchRequests, (self.iteration, list(self))

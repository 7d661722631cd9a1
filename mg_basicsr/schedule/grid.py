"""Sampling grids: strides between frames, and spans of crops, that small mini-batches may draw."""

from __future__ import annotations

from dataclasses import dataclass

from mg_basicsr.schedule.shape import BatchShape


@dataclass(frozen=True, slots=True)
class Grid:
    """Temporal and spatial strides of clips (Wu et al., CVPR 2020, section 3).

    With them a small shape can show as long a time and as large an area as the baseline's.

    Attributes:
        frames: Frames of the baseline's clip, as the network sees them.
        size: Edge of the baseline's GT crop in pixels.
        temporal: A clip of t frames takes every k-th frame, k random in 1 .. frames // t.
        spatial: A crop of s pixels shows a random span of s .. size GT pixels, resampled.
    """

    frames: int = 1
    size: int = 1
    temporal: bool = False
    spatial: bool = False

    def limits(self, shape: BatchShape) -> tuple[int, int]:
        """Return the largest stride in frames and the largest span in GT pixels for a shape.

        A stride of 1 means consecutive frames, a span of 0 crops without resampling; the baseline's own shape gets
        both. In mirrored clips both lengths are doubled, which does not change their quotient.
        """
        stride = max(1, self.frames // shape.frames) if self.temporal else 1
        return stride, self.size if self.spatial and self.size > shape.size else 0


OFF = Grid()  # consecutive frames, crops without resampling

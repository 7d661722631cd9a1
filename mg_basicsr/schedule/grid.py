"""Sampling grids: how far apart the frames and the pixels of a small mini-batch may lie in the material."""

from __future__ import annotations

from dataclasses import dataclass

from mg_basicsr.schedule.shape import BatchShape


@dataclass(frozen=True, slots=True)
class Grid:
    """Span and stride of clips (Wu et al., CVPR 2020, section 3): a small shape may show as much as the baseline's.

    Attributes:
        frames: The baseline's clip, as the network sees it.
        size: The baseline's GT crop in pixels.
        temporal: A clip of t frames takes every k-th frame, k random in 1 .. frames // t.
        spatial: A crop of s pixels shows a random span of s .. size GT pixels, resampled.
    """

    frames: int = 1
    size: int = 1
    temporal: bool = False
    spatial: bool = False

    def limits(self, shape: BatchShape) -> tuple[int, int]:
        """Largest stride in frames (1: consecutive ones), and largest span in GT pixels (0: crops as they are).

        Both count in what the clip's interval and the crop's own size are, so at the baseline's shape nothing is left
        to draw. Mirrored clips have both their lengths doubled, which leaves the quotient as it is.
        """
        stride = max(1, self.frames // shape.frames) if self.temporal else 1
        return stride, self.size if self.spatial and self.size > shape.size else 0


OFF = Grid()  # consecutive frames, crops as they are

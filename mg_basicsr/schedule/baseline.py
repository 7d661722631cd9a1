"""The run that an options file describes when it has no `multigrid:` block: what every preset starts from."""

from __future__ import annotations

from dataclasses import dataclass

from mg_basicsr.schedule.lr import Curve
from mg_basicsr.schedule.shape import BatchShape


@dataclass(frozen=True)
class Baseline:
    """Numbers of the options file.

    Attributes:
        clips: Clips per iteration, all ranks together, that `lr` and `total_iter` were made for.
        frames: Frames per clip as the network sees them.
        size: GT crop edge in pixels; a multiple of `scale`.
        scale: GT size / LQ size.
        total_iter: Iterations.
        lr: `train.optim_g.lr`.
        eta_min: Minimum of the file's scheduler; 0 if it has none.
        host_curve: The file's own schedule as a factor of the iteration.
        mirrored: Each clip is followed by its own reverse, so frames are even.
        sliding_window: One GT frame per clip: the network takes a fixed number of frames.
        clips_per_rank: `datasets.train.batch_size_per_gpu`.
    """

    clips: int
    frames: int
    size: int
    scale: int
    total_iter: int
    lr: float
    eta_min: float
    host_curve: Curve
    mirrored: bool = False
    sliding_window: bool = False
    clips_per_rank: int = 1

    @property
    def shape(self) -> BatchShape:
        return BatchShape(self.clips, self.frames, self.size)

    @property
    def fixed_frames(self) -> bool:
        """Whether the number of frames cannot change: sliding windows, and images."""
        return self.sliding_window or self.frames == 1

    @property
    def cost(self) -> int:
        """GT pixels that the run puts through the network."""
        return self.total_iter * self.shape.pixels

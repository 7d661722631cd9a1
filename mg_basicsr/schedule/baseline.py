"""Baseline: the run that an options file describes without its `multigrid:` block. Every preset starts from it."""

from __future__ import annotations

from dataclasses import dataclass

from mg_basicsr.schedule.lr import Curve
from mg_basicsr.schedule.shape import BatchShape


@dataclass(frozen=True)
class Baseline:
    """Shape, length and learning rate of the options file without its block.

    Attributes:
        clips: Clips per iteration, all ranks together, for which `lr` and `total_iter` were chosen.
        frames: Frames per clip as the network sees them.
        size: GT crop edge in pixels; a multiple of `scale`.
        scale: GT size / LQ size.
        total_iter: Length of the run in iterations.
        lr: `train.optim_g.lr`.
        eta_min: Minimum rate of the file's scheduler, absolute; 0 if it has none.
        host_curve: The file's own schedule: iteration -> factor on the rate.
        mirrored: Each clip is followed by its reverse, so the number of frames is even.
        sliding_window: One GT frame per clip; the network takes a fixed number of frames.
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
        """Shape of the baseline's mini-batch, all ranks together."""
        return BatchShape(self.clips, self.frames, self.size)

    @property
    def fixed_frames(self) -> bool:
        """Whether the number of frames is fixed, which holds for sliding windows and for images."""
        return self.sliding_window or self.frames == 1

    @property
    def cost(self) -> int:
        """GT pixels processed in the whole run."""
        return self.total_iter * self.shape.pixels

"""Measured values of a run between two log lines, and what else is recorded with them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, replace
from typing import Any

import cv2
import torch

from mg_basicsr.data.sampling.sampler import MultigridSampler
from mg_basicsr.host.progress.header import short_hash
from mg_basicsr.host.run import Run
from mg_basicsr.training.extension import Extension
from mg_basicsr.training.precision.gradient_guard import GradientGuard


@dataclass(frozen=True)
class Measures:
    """Sums over iterations, from the start of a process or between two log lines.

    Attributes:
        iterations: Iterations.
        seconds: Seconds of training.
        clips: Clips of all ranks.
        pixels: GT pixels of all ranks.
        waiting: Seconds of waiting for data.
    """

    iterations: int = 0
    seconds: float = 0.0
    clips: int = 0
    pixels: int = 0
    waiting: float = 0.0

    def with_clips(self, clips: int, pixels: int) -> Measures:
        """Return the sums with those of one more mini-batch.

        Args:
            clips: Its clips.
            pixels: Its GT pixels.
        """
        return replace(self, clips=self.clips + clips, pixels=self.pixels + pixels)

    def with_waiting(self, seconds: float) -> Measures:
        """Return the sums with more waiting for data."""
        return replace(self, waiting=self.waiting + seconds)

    def at(self, iterations: int, seconds: float) -> Measures:
        """Return the sums with a position.

        Args:
            iterations: Iterations of the run.
            seconds: Seconds of training.
        """
        return replace(self, iterations=iterations, seconds=seconds)

    def since(self, before: Measures) -> Measures:
        """Return the sums over the iterations after others."""
        return Measures(*(now - then for now, then in zip(astuple(self), astuple(before), strict=True)))

    @property
    def clips_per_second(self) -> float:
        """Clips per second."""
        return self.clips / self.seconds if self.seconds > 0 else 0.0

    @property
    def pixels_per_second(self) -> float:
        """GT pixels per second."""
        return self.pixels / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_per_iteration(self) -> float:
        """Mean seconds of an iteration."""
        return self.seconds / max(self.iterations, 1)

    @property
    def waiting_per_iteration(self) -> float:
        """Mean seconds in which an iteration waited for data."""
        return self.waiting / max(self.iterations, 1)


def validation_pixels(dataset: Any) -> int | None:
    """Return the GT pixels of a validation set of the host, taking all frames to have the size of the first.

    Args:
        dataset: One of BasicSR's own; of others, and of LMDBs, nothing is known, and None is returned.
    """
    info = getattr(dataset, 'data_info', None)
    frames = info.get('gt_path') if isinstance(info, dict) else getattr(dataset, 'paths', None)
    if not isinstance(frames, list) or not frames:
        return None
    first = frames[0]
    path = first.get('gt_path') if isinstance(first, dict) else first
    if not isinstance(path, str) or not os.path.isfile(path):
        return None
    image = cv2.imread(path)
    return None if image is None else len(frames) * image.shape[0] * image.shape[1]


def peak_memory(device: Any) -> float | None:
    """Return the peak memory in MiB on a CUDA device since the last call; None for other devices."""
    device = torch.device(device)
    if device.type != 'cuda':
        return None
    peak = torch.cuda.max_memory_allocated(device) / 2**20
    torch.cuda.reset_peak_memory_stats(device)
    return peak


def skipped_steps(extensions: Iterable[Extension]) -> int | None:
    """Return the number of skipped steps of a reduced precision; None with float32, which skips none."""
    return next((each.skipped for each in extensions if isinstance(each, GradientGuard)), None)


def batch_hash(run: Run) -> str | None:
    """Return a short hash of the requests of the current mini-batch, those of all ranks; None without a sampler.

    Equal hashes mean equal clips, crops and augmentations, if the data and the version of this package are the same.
    """
    sampler = getattr(run.loader, 'sampler', None)
    if not isinstance(sampler, MultigridSampler):
        return None
    plan, seed, keys, grid = sampler.plan, sampler.seed, sampler.num_keys, sampler.grid
    ranks = [MultigridSampler(plan, keys, seed, rank, grid=grid) for rank in range(plan.world_size)]
    return short_hash([str(request) for each in ranks for request in each.requests(run.step.iteration)])


def scalars(tensorboard: Any, iteration: int, values: Mapping[str, float | None]) -> None:
    """Write values to TensorBoard under `multigrid/`; wandb follows it through BasicSR's switch.

    Args:
        tensorboard: The host's SummaryWriter.
        iteration: The iteration.
        values: By name; those that are None are left out.
    """
    for name, value in values.items():
        if value is not None:
            tensorboard.add_scalar(f'multigrid/{name}', value, iteration)

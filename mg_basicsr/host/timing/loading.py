"""Seconds that the clips of a run take to load, timed in as many workers as the run has."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch.utils.data import DataLoader

from mg_basicsr.data.datasets.clip_dataset import ClipDataset
from mg_basicsr.data.loading.batch_dataset import Guarded
from mg_basicsr.data.loading.batches import as_delivered
from mg_basicsr.data.loading.shared_ring import Ring
from mg_basicsr.data.loading.workers import start_worker
from mg_basicsr.data.sampling.request import BatchRequests, SampleRequest
from mg_basicsr.data.sampling.sampler import request_at
from mg_basicsr.errors import DataError, MultigridError, Problem
from mg_basicsr.host.data.adapter import AdaptedDataset
from mg_basicsr.host.data.loader import PREFETCH
from mg_basicsr.host.run import Run
from mg_basicsr.host.timing.reasons import reason_of
from mg_basicsr.host.trial.blame import HOST_ERRORS
from mg_basicsr.schedule.plan import RankBatch
from mg_basicsr.schedule.shape import BatchShape

TIMED_CLIPS = 4  # of every shape, at least
TIMED_ROUNDS = 2  # clips of every shape that each worker loads, at least

Dataset = ClipDataset | AdaptedDataset
ClipSeconds = dict[tuple[int, int], float]  # by frames and GT size


def cores() -> int:
    """Return the CPU cores that this process may use."""
    return len(os.sched_getaffinity(0))


def clip_seconds(run: Run, dataset: Dataset, base: RankBatch, workers: int) -> ClipSeconds:
    """Measure the seconds that a worker takes per clip of each (frames, GT size), while all workers load.

    The clips are the first of the stages. They are read here for the first time, as in the run. Without workers they
    are loaded in this process.

    Args:
        run: The run.
        dataset: Dataset of the clips.
        base: Mini-batch of the file without the block.
        workers: Worker processes of the run.

    Raises:
        DataError: the host's own class cannot read a clip.
        MultigridError: a frame is missing or damaged, or workers lack shared memory.
    """
    try:
        return _clip_seconds(run, dataset, base, workers)
    except MultigridError:
        raise
    except HOST_ERRORS as error:  # of any kind: an adapted dataset is the host's own code
        name = run.settings.train_set.name
        what = f'{name} cannot read clips: {reason_of(error)}'
        raise DataError(Problem('datasets.train', what, remedy='correct it: training would fail too')) from None


def _clip_seconds(run: Run, dataset: Dataset, base: RankBatch, workers: int) -> ClipSeconds:
    plan = run.plan
    first = {(base.shape.frames, base.shape.size): 0}
    for stage in plan.stages:
        for shape in stage.spec.shapes:
            first.setdefault((shape.frames, shape.size), stage.first_position)

    def request(position: int, frames: int, size: int) -> SampleRequest:
        stride, span = run.specification.grid.limits(BatchShape(1, frames, size))
        clip = {'frames': frames, 'gt_size': size, 'max_stride': stride, 'max_span': span}
        return request_at(position, num_keys=len(dataset), seed=run.settings.seed, **clip)

    clips = max(TIMED_CLIPS, TIMED_ROUNDS * workers)
    wanted = [(key, request(at + n, *key)) for key, at in first.items() for n in range(clips)]
    # workers load ahead: while the last clips are timed, others must follow, as in the run
    others = [request(first[wanted[-1][0]] + clips + n, *wanted[-1][0]) for n in range(max(1, workers))]
    uncounted = [*others, *(request for _, request in wanted), *(others if workers > 1 else [])]
    batches = iter(_loader(run, dataset, list(first), uncounted, workers))
    for _ in others:  # not counted: they include the start of the workers
        _whole(next(batches))
    seconds: ClipSeconds = {}
    for key, _ in wanted:
        start = time.perf_counter()
        _whole(next(batches))
        seconds[key] = seconds.get(key, 0.0) + (time.perf_counter() - start) / clips
    share = max(1, min(workers, cores()))  # workers that load at the same time
    return {key: share * value for key, value in seconds.items()}


def _loader(
    run: Run, dataset: Dataset, shapes: Sequence[tuple[int, int]], requests: Sequence[SampleRequest], workers: int
) -> DataLoader[Any]:
    """Return a loader of single clips that delivers them as the run's does."""
    as_float, on_gpu = not run.settings.block.uint8_transfer, torch.device(run.model.device).type == 'cuda'
    ring = None
    if workers and not as_float and isinstance(dataset, ClipDataset):
        largest = max(sum(map(prod, dataset.shapes(*shape).values())) for shape in shapes)
        ring = Ring(workers * PREFETCH + 1, largest)
    return DataLoader(
        Guarded(dataset, as_float, as_float or not on_gpu, ring),
        batch_sampler=[BatchRequests(n, [request]) for n, request in enumerate(requests)],
        num_workers=workers,
        collate_fn=as_delivered,
        worker_init_fn=start_worker,
        prefetch_factor=PREFETCH if workers else None,
    )


def _whole(batch: Any) -> None:
    if isinstance(batch, MultigridError):
        raise batch

"""The loader that takes the place of the host's: one endless epoch, from the model's iteration to the plan's last."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import torch
from torch.utils.data import DataLoader

from mg_basicsr.data.clips import ClipDataset
from mg_basicsr.data.guard import Guarded, as_delivered, limit_threads, pixels_to_float
from mg_basicsr.data.ring import Ring, RingBatch
from mg_basicsr.data.sampler import MultigridSampler
from mg_basicsr.errors import MultigridError
from mg_basicsr.host.datasets import planned_dataset
from mg_basicsr.host.run import Run
from mg_basicsr.schedule.plan import Plan

PREFETCH = 2  # batches that each worker is ahead


class PlannedBatch(dict[str, Any]):
    """A mini-batch of one rank, to be trained on in `parts` passes of equal size."""

    def __init__(self, batch: dict[str, Any], parts: int) -> None:
        super().__init__(batch)
        self.parts = parts


class PlannedLoader:
    """What a BasicSR prefetcher iterates over.

    Whatever the host's epoch arithmetic says (it uses ceil where its loader delivers floor), the batches are those of
    iterations i .. total_iter, i being the model's. Prefetchers call `iter()` in their constructor and again in
    `reset()`: an iterator therefore starts when its first batch is asked for, not when it is made, and a batch that was
    delivered but not trained on is delivered again.

    After the last batch comes one empty mapping, until it has reached the train loop. Loops that only end on
    `current_iter > total_iter` would otherwise wait for data for ever; every loop checks that before it looks into the
    batch. It is not enough to make it once: a prefetcher that fetches ahead may drop it on `reset()`.
    """

    def __init__(self, run: Run, loader: Any) -> None:
        self.run = run
        self.dataset = planned_dataset(loader.dataset, run.dataset, run.settings.baseline.scale)
        self.sampler = MultigridSampler(run.plan, len(self.dataset), run.settings.seed, run.rank, grid=run.grid)
        self._batches: Iterator[Any] | None = None
        self._last: tuple[int, Any] | None = None
        self._ended = False
        # a generator of its own: starting workers must not draw from the one that training uses
        generator = torch.Generator().manual_seed(run.settings.seed)
        workers = int(getattr(loader, 'num_workers', 0))
        as_float = not run.settings.block.uint8_transfer
        self.ring: Ring | None = None
        if workers and not as_float and isinstance(self.dataset, ClipDataset):
            self.ring = Ring(workers * PREFETCH + 1, largest_batch(run.plan, self.dataset))
        on_gpu = torch.device(getattr(run.model, 'device', 'cpu')).type == 'cuda'
        self.loader = DataLoader(
            Guarded(self.dataset, as_float, flip=as_float or not on_gpu, ring=self.ring),
            batch_sampler=self.sampler,
            num_workers=workers,
            collate_fn=as_delivered,
            worker_init_fn=limit_threads,
            prefetch_factor=PREFETCH if workers else None,
            generator=generator,
        )

    def __len__(self) -> int:
        return self.run.plan.total_iter

    def __iter__(self) -> Iterator[dict[str, Any]]:
        total = self.run.plan.total_iter
        for iteration in range(self.run.iteration, total):
            yield PlannedBatch(self._batch(iteration), self.run.plan(iteration).accumulate)
        if not self._ended:
            yield {}

    def end(self) -> None:
        """The train loop has been told the end: nothing comes after it, and the workers can go."""
        self._ended = True
        self._batches = self._last = None

    def _batch(self, iteration: int) -> dict[str, Any]:
        """The batch of a 0-based iteration; the workers go on where they are if it is the next one."""
        last, batch = self._last or (None, {})
        if iteration == last:
            return batch
        if self._batches is None or last is None or iteration != last + 1:
            self._batches = None  # its workers have gone before others write to the ring
            self.sampler.start = iteration
            self._batches = iter(self.loader)
        batch = next(self._batches)
        if isinstance(batch, MultigridError):
            raise batch
        if self.ring and isinstance(batch, RingBatch):
            batch = self.ring.batch(batch)
        batch = self._on_device(batch)
        self._last = (iteration, batch)
        return batch

    def _on_device(self, batch: dict[str, Any]) -> dict[str, Any]:
        """uint8 crops travel as they are and become BasicSR's float32 on the device, equal to the bit."""
        device = torch.device(getattr(self.run.model, 'device', 'cpu'))

        def moved(pixels: torch.Tensor) -> torch.Tensor:
            # from pinned memory a copy does not wait for the steps that the device has yet to do
            return pixels.pin_memory().to(device, non_blocking=True) if device.type == 'cuda' else pixels

        pixels = {
            key: moved(value)
            for key, value in batch.items()
            if torch.is_tensor(value) and value.dtype == torch.uint8
        }
        return pixels_to_float({**batch, **pixels})


def largest_batch(plan: Plan, dataset: ClipDataset) -> int:
    """Bytes of the pixels of a rank's largest mini-batch."""
    sizes = []
    for batch in {batch for stage in plan.stages for batch in stage.batches}:
        shapes = dataset.shapes(batch.shape.frames, batch.shape.size)
        sizes.append(batch.clips_per_rank * batch.accumulate * sum(map(prod, shapes.values())))
    return max(sizes)

"""Loader that replaces the host's: one endless epoch, from the model's iteration to the plan's last."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from math import prod
from typing import Any

import torch
from torch.utils.data import DataLoader

from mg_basicsr.data.datasets.clip_dataset import ClipDataset
from mg_basicsr.data.loading.batch_dataset import BAD_CLIPS, Guarded
from mg_basicsr.data.loading.batches import as_delivered, pixels_to_float
from mg_basicsr.data.loading.shared_ring import Ring, RingBatch
from mg_basicsr.data.loading.side_stream import SideStream
from mg_basicsr.data.loading.workers import signals_held_back, start_worker
from mg_basicsr.data.sampling.sampler import MultigridSampler
from mg_basicsr.errors import DataError, MultigridError, Problem
from mg_basicsr.host.data.adapter import AdaptedDataset
from mg_basicsr.host.data.datasets import planned_dataset
from mg_basicsr.host.data.identity import data_changes, data_record
from mg_basicsr.host.log import logger
from mg_basicsr.host.run import Run
from mg_basicsr.schedule.plan import Plan

PREFETCH = 2  # batches that each worker loads in advance


class PlannedBatch(dict[str, Any]):
    """Mini-batch of one rank, to be trained on in `parts` passes of equal size.

    Args:
        batch: Samples of the dataset, collated: tensors (clips, ...), lists of `clips` entries.
        parts: Number of passes, >= 1.
        iteration: 0-based iteration of the batch; None for a trial step.

    Attributes:
        copied: Event after the copy to the device, where that runs beside the step before; otherwise None.
    """

    def __init__(self, batch: dict[str, Any], parts: int, iteration: int | None = None) -> None:
        super().__init__(batch)
        self.parts = parts
        self.iteration = iteration
        self.copied: torch.cuda.Event | None = None


class PlannedLoader:
    """Loader over which a BasicSR prefetcher iterates.

    The batches are those of iterations i .. total_iter, i being the model's, independently of the host's epoch
    arithmetic (which uses ceil where its loader delivers floor). Prefetchers call `iter()` in their constructor and
    again in `reset()`: an iterator therefore starts at the request for its first batch, not when it is made, and a
    batch that was delivered but not trained on is delivered again.

    After the last batch comes one empty mapping, until it has reached the train loop. Loops that only end on
    `current_iter > total_iter` would otherwise wait for data forever; every loop checks that before it looks into the
    batch. Making it once is not enough: a prefetcher that fetches ahead may drop it on `reset()`.

    Args:
        run: The run.
        loader: Loader of the host, for its dataset and number of workers; it is never iterated.
        fetches_ahead: Whether the prefetcher requests the next batch before the current one is trained on.

    Attributes:
        delivered: 0-based iteration of the batch that the train loop has; None before the first.
        batch: That batch.
        dataset: Dataset of the run.
        sampler: Sampler of the run.
        ring: Shared memory in which workers write their batches; None if they are sent otherwise.
        side: Stream on which batches are copied to the device beside the step before; None if they are not.
        loader: Loader of the batches.
    """

    def __init__(self, run: Run, loader: Any, fetches_ahead: bool = False) -> None:
        self.run = run
        run.deliver_with(self)
        self.delivered: int | None = None
        self.batch: Any = None
        self.dataset = planned_dataset(loader.dataset, run.specification.dataset, run.settings)
        if run.rank == 0:
            _identify(run, self.dataset)
        self.sampler = MultigridSampler(
            run.plan, len(self.dataset), run.settings.seed, run.rank, grid=run.specification.grid
        )
        self._batches: Iterator[Any] | None = None
        self._last: tuple[int, Any] | None = None
        self._ended = False
        self._bad_clips: set[str] = set()
        # Separate, since starting workers draws a number, which must not come from the generator of training.
        generator = torch.Generator().manual_seed(run.settings.seed)
        workers = int(getattr(loader, 'num_workers', 0))
        as_float = not run.settings.block.uint8_transfer
        self.ring: Ring | None = None
        if workers and not as_float and isinstance(self.dataset, ClipDataset):
            # One slot for each batch in advance, and one for the batch that is being copied to the device.
            self.ring = Ring(workers * PREFETCH + 1, largest_batch(run.plan, self.dataset))
        on_gpu = self.device.type == 'cuda'
        self.side = SideStream(self.device) if on_gpu and fetches_ahead else None
        self.loader = DataLoader(
            Guarded(self.dataset, as_float, as_float or not on_gpu, self.ring, self._skipped_errors()),
            batch_sampler=self.sampler,
            num_workers=workers,
            collate_fn=as_delivered,
            worker_init_fn=start_worker,
            prefetch_factor=PREFETCH if workers else None,
            generator=generator,
        )

    @property
    def device(self) -> torch.device:
        """Device of the model; the CPU before it is built, which a train loop may do after its prefetcher."""
        return torch.device(self.run.model.device if self.run.has_model else 'cpu')

    @property
    def ended(self) -> bool:
        """Whether the train loop has come to the end of the batches."""
        return self._ended

    def __len__(self) -> int:
        return self.run.plan.total_iter

    def __iter__(self) -> Iterator[dict[str, Any]]:
        total = self.run.plan.total_iter
        for iteration in range(self.run.iteration, total):
            with self.side.beside() if self.side else nullcontext() as copied:
                batch = PlannedBatch(self._batch(iteration), self.run.plan(iteration).accumulate, iteration)
            batch.copied = copied
            yield batch
        if not self._ended:
            yield {}

    def hand_over(self, batch: Any) -> None:
        """Record that the train loop has a batch, and let the device wait for its copy before the next computation."""
        if batch == {}:
            self.end()
        if not batch:  # None follows the empty mapping, once its loop goes on to another epoch
            return
        # A prefetcher that copies the batch to another mapping drops its iteration; then the expected one is assumed.
        self.delivered, self.batch = getattr(batch, 'iteration', self.run.iteration), batch
        if self.side and getattr(batch, 'copied', None):
            self.side.hand_over(batch, batch.copied)

    def end(self) -> None:
        """End the workers and the copies under way, and log the bad clips. Can be called again.

        Called after the train loop has received the empty mapping, or where the process ends without it.
        """
        if self._ended:
            return
        self._ended = True
        self._end_workers()
        if self.side:
            self.side.stream.synchronize()
        if self._bad_clips:
            names = ', '.join(sorted(self._bad_clips))
            logger().error(f'multigrid: {len(self._bad_clips)} bad clips were skipped: {names}')

    def _batch(self, iteration: int) -> dict[str, Any]:
        """Return the batch of a 0-based iteration. Workers are restarted unless it follows the last one.

        Raises:
            DataError: a clip is bad, and the block does not allow to skip it.
        """
        last, batch = self._last or (None, {})
        if iteration == last:  # delivered before a reset(), but not trained on
            return batch
        if self._batches is None or last is None or iteration != last + 1:
            self._end_workers()  # before others write to the ring
            self.sampler.start = iteration
            with signals_held_back():
                self._batches = iter(self.loader)
        batch = next(self._batches)
        if isinstance(batch, DataError):
            raise DataError(*batch.problems, self._how_to_go_on())
        if isinstance(batch, MultigridError):
            raise batch
        if self.ring and isinstance(batch, RingBatch):
            batch = self.ring.batch(batch)
        self._tell_bad_clips(batch.pop(BAD_CLIPS, {}))
        batch = to_device(batch, self.device)
        self._last = (iteration, batch)
        return batch

    def _end_workers(self) -> None:
        end = getattr(self._batches, '_shutdown_workers', None)  # the iterator's own way, when it is deleted
        if end is not None:  # not left to that: the frames of an error may keep the iterator alive
            end()
        self._batches = self._last = None

    def _skipped_errors(self) -> tuple[type[Exception], ...]:
        """Return the exceptions that mark a bad clip: DataError of this package's datasets, any of an adapted one."""
        if self.run.settings.block.on_bad_frame == 'error':
            return ()
        return (Exception,) if isinstance(self.dataset, AdaptedDataset) else (DataError,)

    def _tell_bad_clips(self, bad: dict[str, str]) -> None:
        for name, wrong in bad.items():
            if name not in self._bad_clips:
                self._bad_clips.add(name)
                # At level ERROR, since BasicSR's loggers on the other ranks drop everything below.
                logger().error(
                    f'multigrid: clip {name} is skipped, another one takes its place '
                    f'(bad clips on this rank since the start: {len(self._bad_clips)}). {wrong}'
                )

    def _how_to_go_on(self) -> Problem:
        return Problem(
            'multigrid.on_bad_frame',
            f'{self.run.settings.block.on_bad_frame} ends the run here',
            'allowed: error, or skip_clip, which trains on another clip instead',
            f'`mg-basicsr check -opt {self.run.file.path}` looks for more; then start again with --auto_resume',
        )


def to_device(batch: dict[str, Any], device: torch.device | str) -> dict[str, Any]:
    """Copy uint8 crops to a device, flip them there, and convert them to float32, bit for bit as BasicSR does.

    Args:
        batch: A mini-batch; other values than uint8 tensors and `flips` are unchanged.
        device: The device.
    """
    device = torch.device(device)

    def moved(value: torch.Tensor) -> torch.Tensor:
        # A copy from pinned memory returns at once; from other memory it waits for the queued work of the device.
        return value.pin_memory().to(device, non_blocking=True) if device.type == 'cuda' else value

    copied = {
        key: moved(value)
        for key, value in batch.items()
        if torch.is_tensor(value) and (value.dtype == torch.uint8 or key == 'flips')
    }
    return pixels_to_float({**batch, **copied})


def largest_batch(plan: Plan, dataset: ClipDataset) -> int:
    """Return the size in bytes of the pixels of a rank's largest mini-batch.

    Args:
        plan: The plan.
        dataset: The dataset, for the shapes of its samples.
    """
    sizes = []
    for batch in plan.batches:
        shapes = dataset.shapes(batch.shape.frames, batch.shape.size)
        sizes.append(batch.clips_per_rank * batch.accumulate * sum(map(prod, shapes.values())))
    return max(sizes)


def _identify(run: Run, dataset: Any) -> None:
    """Keep the record of the training set for checkpoints, and log where it is another than that of the one resumed."""
    run.checkpoints.data = data_record(dataset, run.plan)
    point = run.checkpoints.resume_point
    recorded = (point.record or {}).get('data') if point else None
    for change in data_changes(recorded, run.checkpoints.data) if isinstance(recorded, dict) else ():
        logger().warning(f'multigrid: changed since the checkpoint: datasets.train {change}')

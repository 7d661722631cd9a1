"""Delivery of the plan's mini-batches to the train loop: by a prefetcher, or where it loops over its own loader."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from mg_basicsr.host.data.loader import PlannedLoader
from mg_basicsr.host.model import settle
from mg_basicsr.host.run import Run
from mg_basicsr.host.stopping import between_steps


def trains(run: Run, loader: Any) -> bool:
    """Return whether the loop over a loader of torch is that of the training: its samples are of the training set.

    Args:
        run: The run.
        loader: The loader.
    """
    if not run.specification.in_loop:
        return False
    options = getattr(loader.dataset, 'opt', None)
    phase = options.get('phase') if isinstance(options, Mapping) else None
    return phase == 'train' or type(loader.sampler).__name__ == 'EnlargedSampler'


def batches(run: Run, loader: Any) -> Iterator[dict[str, Any]]:
    """Yield the plan's mini-batches in the place of those of the host's loader.

    After the last one the loop ends. Where the script begins it again, it gets an empty mapping, as from a prefetcher.

    Args:
        run: The run.
        loader: The host's loader, which is not iterated.
    """
    if 'planned_loader' not in vars(loader):
        loader.planned_loader = PlannedLoader(run, loader)
    planned: PlannedLoader = loader.planned_loader
    if planned.ended:
        yield {}
        return
    start = time.perf_counter()
    for batch in planned:
        handed_over(run, planned, batch, time.perf_counter() - start)
        if batch == {}:
            return
        yield batch
        start = time.perf_counter()


def handed_over(run: Run, loader: PlannedLoader, batch: Any, seconds: float) -> None:
    """Note that the train loop has a mini-batch, and hand signals to the host after the last.

    Args:
        run: The run.
        loader: Loader of the batch.
        batch: The batch; an empty mapping after the last.
        seconds: Time that the train loop has waited for it.
    """
    run.watch.fetched(seconds)
    loader.hand_over(batch)
    if batch == {}:
        settle(run)
        run.watch.end()
    if batch == {} and run.stop.watching:  # the end: a signal that came during the last step is still handled
        between_steps(run, run.model)
        run.stop.put_back()

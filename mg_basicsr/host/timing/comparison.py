"""Duration of a run in other ways: in stock BasicSR, without or with a crop store, with options of a step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from mg_basicsr.data.datasets.clip_dataset import ClipDataset
from mg_basicsr.errors import MultigridError
from mg_basicsr.host.data.datasets import our_dataset
from mg_basicsr.host.run import Run
from mg_basicsr.host.store_inputs import training_set
from mg_basicsr.host.timing.loading import ClipSeconds, Dataset, clip_seconds
from mg_basicsr.host.timing.reasons import NotTimed, reason_of
from mg_basicsr.host.timing.small_store import small_store
from mg_basicsr.host.timing.step_options import changes_to_try, step_ratio
from mg_basicsr.host.timing.stock import StockTimes, time_stock
from mg_basicsr.schedule.duration import Machine, Work
from mg_basicsr.schedule.plan import RankBatch
from mg_basicsr.schedule.ways import Way, planned_way, worker_way
from mg_basicsr.training.trial.steps import Timing

STOCK, PLAN, STORE = 'stock BasicSR', 'with the block', 'with the block and a store'

Show = Callable[[str], None]


@dataclass(frozen=True)
class Parts:
    """Parts of a check that can be chosen.

    Attributes:
        stock: Whether stock BasicSR is timed.
        others: Whether other ways of this run are timed: with and without a store, and options of a step.
        compile: Whether `compile: true` is one of them.
    """

    stock: bool = True
    others: bool = True
    compile: bool = False


ALL = Parts()


@dataclass(frozen=True)
class Measured:
    """Measurements of a run as the file has it.

    Attributes:
        timings: Seconds of a step, by shape.
        loading: Seconds of a worker per clip, by frames and GT size.
        base: Mini-batch of the file without the block.
        machine: Where it runs.
    """

    timings: Mapping[RankBatch, Timing]
    loading: ClipSeconds
    base: RankBatch
    machine: Machine

    def work(self, batch: RankBatch) -> Work:
        """Return the work of an iteration with a mini-batch."""
        per_clip = self.loading[batch.shape.frames, batch.shape.size]
        return Work(self.timings[batch].seconds, per_clip * batch.clips_per_rank * batch.accumulate)

    def with_loading(self, loading: ClipSeconds) -> Measured:
        """Return the same with other times of loading."""
        return replace(self, loading=loading)


class Comparison:
    """Comparison of a run with other ways of making it.

    Args:
        run: The run, its model built.
        dataset: Its dataset.
        options: The host's options.
        measured: What was measured of the run.
        show: Receives what is timed.
    """

    def __init__(self, run: Run, dataset: Dataset, options: dict[str, Any], measured: Measured, show: Show) -> None:
        self.run, self.dataset, self.options = run, dataset, options
        self.measured, self.show = measured, show
        inputs = run.settings.train_set.options
        self.stored = bool(run.settings.block.store or (inputs and inputs.store))

    @property
    def now(self) -> Way:
        """Run as the file has it."""
        return self._planned(STORE if self.stored else PLAN, self.measured)

    def others(self, parts: Parts) -> Iterator[Way]:
        """Yield the other ways of making the run, each once it is timed.

        Args:
            parts: What is to be timed.
        """
        if not parts.others:
            return
        yield self._from_folders() if self.stored else self._from_store()
        if more := worker_way(self.run.plan, self.measured.work, self.measured.machine):
            yield more
        yield from self._options(parts.compile)

    def stock(self) -> tuple[Way, StockTimes | None]:
        """Return the run in stock BasicSR, and its times; the run's model is released before."""
        base, ranks = self.run.settings.baseline, self.run.plan.world_size
        self.run.end()
        try:
            times = time_stock(self.run, self.options, self.show)
        except NotTimed as reason:
            return Way(STOCK, note=f'not timed: {reason}'), None
        steps = base.clips / (times.clips * ranks)
        times = times._replace(work=Work(*(steps * seconds for seconds in times.work)))
        machine = self.measured.machine
        note = '' if steps == 1 else f'{base.clips} clips per iteration, as its rate was made for'
        seconds = base.total_iter * machine.seconds(times.work)
        return Way(STOCK, '', seconds, machine.bound(times.work), note), times

    def _planned(self, name: str, measured: Measured, change: str = '', note: str = '') -> Way:
        return planned_way(name, self.run.plan, measured.work, measured.machine, change=change, note=note)

    def _loaded_from(self, dataset: Dataset) -> Measured:
        workers = self.measured.machine.workers
        return self.measured.with_loading(clip_seconds(self.run, dataset, self.measured.base, workers))

    def _from_folders(self) -> Way:
        """Return the run without the store that the file names, if the folders are there."""
        self.show('reading clips from folders')
        settings = self.run.settings
        try:
            options = training_set(self.run.file).options
            dataset = our_dataset(replace(settings.train_set, options=options), None, settings.block.degradation)
            assert dataset is not None  # one with a store is of our own class
            return self._planned(PLAN, self._loaded_from(dataset), note='without the store')
        except MultigridError as error:
            return Way(PLAN, note=f'not timed: {reason_of(error)}')

    def _from_store(self) -> Way:
        """Return the run from a store: timed on a small one, of a few clips."""
        self.show('reading clips from a small store')
        settings, plan = self.run.settings, self.run.plan
        if not isinstance(self.dataset, ClipDataset):
            return Way(STORE, note=f'not possible: {settings.train_set.name} is read by its own class')
        if self.dataset.options.dataroot_flow:
            return Way(STORE, note='not timed: flow is not in a store')
        change = f'run `mg-basicsr prepare -opt {self.run.file.path} -o STORE` and set multigrid.store: STORE'
        stride = max(self.run.specification.grid.limits(shape)[0] for shape in plan.shapes)
        try:
            with small_store(self.dataset, plan, stride) as few:
                note = f'on a store of {len(few)} clips'
                return self._planned(STORE, self._loaded_from(few), change, note)
        except MultigridError as error:
            return Way(STORE, note=f'not timed: {reason_of(error)}')
        except OSError as error:
            return Way(STORE, note=f'not timed: a temporary store cannot be written: {error.strerror}')

    def _options(self, compile: bool) -> Iterator[Way]:
        """Yield the run with each option of a step, timed on the shape that most of the time is spent on."""
        run, measured = self.run, self.measured
        on_gpu = torch.device(run.model.device).type == 'cuda'
        reduced = on_gpu and torch.cuda.is_bf16_supported()
        changes = changes_to_try(run.settings.block, on_gpu, reduced, compile)
        batch = self._longest()
        for number, change in enumerate(changes, 1):
            self.show(f'option {number} of {len(changes)}: {change.text}')
            ratio = step_ratio(run, self.dataset, self.options, batch, change)
            if isinstance(ratio, str):
                yield Way(change.text, note=f'not possible: {ratio}')
                continue
            timings = {
                each: timing._replace(seconds=ratio * timing.seconds) for each, timing in measured.timings.items()
            }
            faster = replace(measured, timings=timings)
            yield self._planned(change.text, faster, f'set {change.text}', f'a step: x {ratio:.2f}')

    def _longest(self) -> RankBatch:
        """Return the mini-batch of the plan that most of the training steps' time is spent on."""
        spent: dict[RankBatch, float] = {}
        for stage in self.run.plan.stages:
            for batch in stage.batches:
                seconds = self.measured.timings[batch].seconds * stage.iters / len(stage.batches)
                spent[batch] = spent.get(batch, 0.0) + seconds
        return max(spent, key=lambda batch: spent[batch])

"""Stock BasicSR, timed: its class of the data set in its loader, and a step at the shape of the file."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

from mg_basicsr.data.sampling.sampler import request_at
from mg_basicsr.dataset_types import ADAPTER, TYPES
from mg_basicsr.host.run import Run, instead_of_active
from mg_basicsr.host.timing.loading import TIMED_CLIPS, TIMED_ROUNDS, cores
from mg_basicsr.host.timing.reasons import NotTimed, reasons
from mg_basicsr.host.trial.no_trace import without_trace
from mg_basicsr.host.trial.train_loop import builder
from mg_basicsr.host.trial.trials import arguments_by_name
from mg_basicsr.schedule.duration import Work
from mg_basicsr.training.allocator import memory_as_usual
from mg_basicsr.training.trial.snapshot import on_trial
from mg_basicsr.training.trial.steps import attempt, time_steps

STOCK_SECONDS = 6.0  # of timed steps
FEW_WORKERS = 4  # fewer than these load TIMED_ROUNDS batches each; more, one

Show = Callable[[str], None]


class StockTimes(NamedTuple):
    """Times of stock BasicSR, for an iteration of the file's batch_size_per_gpu.

    Attributes:
        work: Seconds of the step, and of one worker loading its mini-batch.
        clips: Clips of the mini-batch.
        peak_mib: Peak memory of the device in MiB; None on a CPU.
    """

    work: Work
    clips: int
    peak_mib: float | None


def time_stock(run: Run, options: dict[str, Any], show: Show) -> StockTimes:
    """Time BasicSR's own loading and step. Nothing of this package takes part, but for the shims for today's libraries.

    Args:
        run: The run, whose model is not needed any more.
        options: The host's options; they are not changed.
        show: Receives what is timed.

    Raises:
        NotTimed: BasicSR cannot do it.
    """
    with without_trace(), instead_of_active(None), memory_as_usual():
        show('stock BasicSR: reading clips')
        with reasons('its data set'):
            seconds, batch = _loading(run, _in_its_own_words(run, options))
        show('stock BasicSR: training step')
        with reasons('its model'):
            model = _model(options)
            arguments, named = arguments_by_name(model)(run.settings.baseline.total_iter)
            device = torch.device(model.device)
        if options['datasets']['train'].get('prefetch_mode') == 'cuda':  # copied beside the step before
            batch = {key: value.to(device) if torch.is_tensor(value) else value for key, value in batch.items()}
        found = []

        def step() -> None:
            model.feed_data(batch)
            model.optimize_parameters(*arguments, **named)

        with on_trial(model), reasons('a step of its model'):
            if failure := attempt(lambda: found.append(time_steps(step, device, STOCK_SECONDS)), device):
                raise NotTimed(f'BasicSR cannot make a step: {failure.message}')
    return StockTimes(Work(found[0].seconds, seconds), _clips(batch, options), found[0].peak_mib)


def _in_its_own_words(run: Run, options: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of the options in which the training set is of BasicSR's own type, read from folders or LMDBs."""
    copied = copy.deepcopy(options)
    train_set = copied['datasets']['train']
    kind = run.settings.train_set.kind
    if train_set['type'] == ADAPTER:
        train_set['type'] = train_set['base_type']
    elif train_set['type'].startswith('Multigrid'):
        train_set['type'] = next(name for name, known in TYPES.items() if known is kind)
    if train_set.get('io_backend', {}).get('type') == 'store':
        in_lmdb = str(train_set.get('dataroot_gt')).endswith('.lmdb')
        train_set['io_backend'] = {'type': 'lmdb' if in_lmdb else 'disk'}
    return copied


def _loading(run: Run, options: dict[str, Any]) -> tuple[float, dict[str, Any]]:
    """Return the seconds of a worker for a mini-batch, while all workers load, and a mini-batch.

    Raises:
        NotTimed: the loader cannot be made, or delivers too little.
    """
    train_set = options['datasets']['train']
    make_dataset, make_loader = builder('data', 'dataset'), builder('data', 'dataloader')
    if make_dataset is None or make_loader is None:
        raise NotTimed('this repository makes its loader in another way than BasicSR')
    dataset = make_dataset(train_set)
    size, workers = train_set['batch_size_per_gpu'], int(train_set.get('num_worker_per_gpu') or 0)
    rounds = TIMED_ROUNDS if workers < FEW_WORKERS else 1
    first, counted = max(1, workers), max(rounds * workers, -(-TIMED_CLIPS // size))
    batches = first + counted + (workers if workers > 1 else 0)  # as in clip_seconds
    places = _Indices(dataset, run.settings.seed, size * batches, max(TIMED_CLIPS, TIMED_ROUNDS * workers))
    loader = make_loader(
        dataset, train_set, num_gpu=options['num_gpu'], dist=False, sampler=places, seed=options['manual_seed']
    )
    arrived, batch = [], {}
    for delivered in loader:
        arrived.append(time.perf_counter())
        batch = delivered
    if len(arrived) <= first:
        raise NotTimed('its loader delivers too few mini-batches')
    last = min(first + counted, len(arrived)) - 1
    seconds = (arrived[last] - arrived[first - 1]) / (last - first + 1)
    return seconds * max(1, min(workers, cores())), batch


class _Indices(Sequence[int]):
    """Indices of clips in the order of a run, as a sampler."""

    def __init__(self, dataset: Any, seed: int, count: int, start: int) -> None:
        keys = {'num_keys': len(dataset), 'seed': seed, 'frames': 1, 'gt_size': 1}
        self._indices = [request_at(start + position, **keys).index for position in range(count)]

    def __getitem__(self, item: Any) -> Any:
        return self._indices[item]

    def __len__(self) -> int:
        return len(self._indices)


def _model(options: dict[str, Any]) -> Any:
    """Build the model.

    Raises:
        NotTimed: the repository has no function for it.
    """
    build = builder('models', 'model')
    if build is None:
        raise NotTimed('this repository makes its model in another way than BasicSR')
    return build(copy.deepcopy(options))


def _clips(batch: dict[str, Any], options: dict[str, Any]) -> int:
    lq = batch.get('lq')
    return len(lq) if torch.is_tensor(lq) else int(options['datasets']['train']['batch_size_per_gpu'])

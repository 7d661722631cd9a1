"""Trial of what the train loop makes before its first iteration: training set, loader, prefetcher, loggers, a step."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch.utils.data import DataLoader

from mg_basicsr.errors import MultigridError, Problem
from mg_basicsr.host.data.datasets import planned_dataset
from mg_basicsr.host.run import Run
from mg_basicsr.host.trial.blame import HOST_ERRORS, problems_of
from mg_basicsr.host.trial.trials import Trials, arguments_by_name
from mg_basicsr.schedule.plan import RankBatch
from mg_basicsr.schedule.shape import BatchShape
from mg_basicsr.training.trial.steps import describe


def try_loggers(options: Mapping[str, Any], folder: Path) -> list[Problem]:
    """Make the loggers of messages and of TensorBoard, and write a line. wandb, which needs a network, is left out.

    Args:
        options: The host's options.
        folder: Folder for the files of TensorBoard.
    """
    from basicsr import utils

    if not hasattr(utils, 'MessageLogger') or not hasattr(utils, 'init_tb_logger'):
        return []
    writer = None
    try:
        if options['logger'].get('use_tb_logger') and 'debug' not in options['name']:
            writer = utils.init_tb_logger(log_dir=str(folder))
        line = _Line(epoch=0, iter=1, lrs=[1e-4], time=1.0, data_time=0.0, l_pix=1.0)
        utils.MessageLogger(options, 0, SimpleNamespace(add_scalar=_nothing))(line)
        _ = 1 % options['logger']['print_freq'], 1 % options['logger']['save_checkpoint_freq']
    except HOST_ERRORS as error:  # of any kind: it is the host's own code
        return problems_of(error, options, 'logger', 'log')
    finally:
        if writer is not None:
            writer.close()
    return []


class _Line(dict[str, Any]):
    """Values of a log line, with one for every key that a repository's own loop adds for its own logger."""

    def __missing__(self, key: str) -> Any:
        return 1

    def pop(self, key: str, *default: Any) -> Any:
        """Remove a value and return it; 1 if it is missing and there is no default."""
        return super().pop(key, *(default or (1,)))


def builder(package: str, what: str) -> Callable[..., Any] | None:
    """Return the host's function that builds something; None if the repository has another way.

    BasicSR up to 1.2 and the copies of it have `create_model` for `build_model`, and so on.

    Args:
        package: Package of basicsr: data or models.
        what: What is built: dataset, dataloader or model.
    """
    module = importlib.import_module(f'basicsr.{package}')
    found: Callable[..., Any] | None = getattr(module, f'build_{what}', None) or getattr(module, f'create_{what}', None)
    return found


def _nothing(*args: Any) -> None:
    return None


def try_loading(options: Mapping[str, Any]) -> tuple[Any, list[Problem]]:
    """Make the training set, its sampler and loader, and a prefetcher, which fetches a batch of the trial's.

    Args:
        options: The host's options.

    Returns:
        The training set, and no problem; or None, and the problems.
    """
    from basicsr.data import data_sampler, prefetch_dataloader

    make_dataset, make_loader = builder('data', 'dataset'), builder('data', 'dataloader')
    train_set = options['datasets']['train']
    if make_dataset is None or make_loader is None:
        return None, []
    try:
        dataset = make_dataset(train_set)
        ratio = train_set.get('dataset_enlarge_ratio', 1)
        make_loader(
            dataset,
            train_set,
            num_gpu=options['num_gpu'],
            dist=False,
            sampler=data_sampler.EnlargedSampler(dataset, 1, 0, ratio),
            seed=options['manual_seed'],
        )
        small: DataLoader[Any] = DataLoader([{'lq': torch.zeros(1)}] * 2)  # type: ignore[arg-type]
        if train_set.get('prefetch_mode') == 'cuda':
            prefetcher = prefetch_dataloader.CUDAPrefetcher(small, options)
        else:
            prefetcher = prefetch_dataloader.CPUPrefetcher(small)
        prefetcher.reset()
        prefetcher.next()
    except HOST_ERRORS as error:  # of any kind: it is the host's own code
        return None, problems_of(error, options, 'datasets.train', 'load the training set')
    return dataset, []


def try_step(run: Run, model: Any, host_dataset: Any, options: Mapping[str, Any]) -> list[Problem]:
    """Make a training step of one clip of the plan's smallest shape.

    A failure of that shape alone is left to the trial of all shapes, which finds the option of the block to change. So
    is one of the network, and the step of a model that a repository's own train loop gives more than the iteration:
    that trial has the arguments of the loop. What remains are single options of losses and optimisers.

    Args:
        run: A run on trial, with the model.
        model: The host's model, which is changed.
        host_dataset: The host's training set.
        options: The host's options.
    """
    if _takes_more(model):
        return []
    base = run.settings.baseline
    smallest = min(run.plan.batches, key=lambda batch: batch.shape.pixels // batch.shape.clips).shape
    error: BaseException | None = None
    for optimizer in model.optimizers:  # as in every step on trial
        for group in optimizer.param_groups:
            group['lr'] = 0.0
    for frames, size in ((smallest.frames, smallest.size), (base.frames, base.size)):
        try:
            dataset = planned_dataset(host_dataset, run.specification.dataset, run.settings)
            trials = Trials(run, dataset, arguments_by_name(model), model.optimize_parameters)
            clips = min(batch.clips_per_rank for batch in run.plan.batches)
            trials.step(RankBatch(BatchShape(clips * run.plan.world_size, frames, size), clips, 1), 1)()
            return []
        except HOST_ERRORS as failure:
            error = failure
            if isinstance(failure, MultigridError) or describe(failure).out_of_memory:
                return []  # found again, and told with the shape, by the trial of all shapes
    assert error is not None
    found = problems_of(error, options, '', 'make a training step')
    return [p for p in found if p.option.startswith('train.') and p.option.count('.') > 1]


def _takes_more(model: Any) -> bool:
    """Return whether a training step has other arguments than the iteration."""
    _, *parameters = inspect.signature(type(model).optimize_parameters).parameters.values()
    return [p.name for p in parameters if p.default is p.empty] != ['current_iter']

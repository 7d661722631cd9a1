"""Trial of what the host's train loop makes before its first iteration: loggers, training set, loader, prefetcher."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from mg_basicsr.errors import Problem
from mg_basicsr.host.trial.blame import problems_of


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
        line = {'epoch': 0, 'iter': 1, 'lrs': [1e-4], 'time': 1.0, 'data_time': 0.0, 'l_pix': 1.0}
        utils.MessageLogger(options, 0, writer)(line)
        _ = 1 % options['logger']['print_freq'], 1 % options['logger']['save_checkpoint_freq']
    except Exception as error:  # of any kind: it is the host's own code
        return problems_of(error, options, 'logger', 'log')
    finally:
        if writer is not None:
            writer.close()
    return []


def try_loading(options: Mapping[str, Any]) -> list[Problem]:
    """Make the training set, its sampler and loader, and a prefetcher, which fetches a batch of the trial's.

    Args:
        options: The host's options.
    """
    from basicsr import data
    from basicsr.data import data_sampler, prefetch_dataloader

    train_set = options['datasets']['train']
    try:
        dataset = data.build_dataset(train_set)
        ratio = train_set.get('dataset_enlarge_ratio', 1)
        data.build_dataloader(
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
    except Exception as error:  # of any kind: it is the host's own code
        return problems_of(error, options, 'datasets.train', 'load the training set')
    return []

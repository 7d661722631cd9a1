"""Context for work of the host that must leave no trace: no output, no log, no random number, no open logger."""

from __future__ import annotations

import gc
import io
import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import torch

from mg_basicsr.host.log import logger
from mg_basicsr.training.seeding import untouched_generators


@contextmanager
def without_trace() -> Iterator[None]:
    """Return a context in which nothing is printed or logged, and after which the process is as before.

    BasicSR's logger opens its file when it is first asked for: one that is made here would keep the run from it.
    """
    with ExitStack() as stack:
        stack.enter_context(untouched_generators())
        stack.enter_context(redirect_stdout(io.StringIO()))
        stack.enter_context(redirect_stderr(io.StringIO()))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter('ignore')
        stack.enter_context(_loggers_as_before())
        yield
    if torch.cuda.is_initialized():
        gc.collect()  # models have reference cycles; takes a second, and only a GPU's memory is short
        torch.cuda.empty_cache()


@contextmanager
def _loggers_as_before() -> Iterator[None]:
    ours, disabled = logger(), logging.root.manager.disable
    kept = list(ours.handlers), ours.level, ours.propagate
    initialized = getattr(sys.modules.get('basicsr.utils.logger'), 'initialized_logger', None)
    known = dict(initialized) if isinstance(initialized, dict) else {}
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(disabled)
        for handler in set(ours.handlers) - set(kept[0]):
            handler.close()
        ours.handlers[:], ours.level, ours.propagate = kept
        if isinstance(initialized, dict):
            initialized.clear()
            initialized.update(known)


def in_folder(options: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return options for one process on trial, whose experiment is in a separate folder, which is made.

    Args:
        options: A copy of the host's options; changed in place.
        folder: An empty folder.
    """
    options.update(dist=False, rank=0, world_size=1, root_path=str(folder), auto_resume=False)
    if isinstance(options.get('num_gpu'), int):
        options['num_gpu'] = min(options['num_gpu'], 1)
    paths, root = options['path'], folder / 'experiment'
    paths['experiments_root'] = paths['log'] = str(root)
    for name in ('models', 'training_states', 'visualization'):
        paths[name] = str(root / name)
        (root / name).mkdir(parents=True)
    return options

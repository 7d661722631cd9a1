"""Logs that are silent during trial steps, which leave no trace, and files that these steps write nevertheless."""

from __future__ import annotations

import builtins
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from mg_basicsr.patching import replaced

# Module, class in it, and method through which every entry goes
_WRITERS = (
    ('torch.utils.tensorboard.writer', 'FileWriter', 'add_event'),
    ('tensorboardX.writer', 'FileWriter', 'add_event'),
    ('wandb.sdk.wandb_run', 'Run', 'log'),
    ('wandb.sdk.wandb_run', 'Run', '_log'),  # what wandb.log is bound to before
    ('comet_ml', 'Experiment', 'log_metric'),
    ('comet_ml', 'Experiment', 'log_metrics'),
    ('aim.sdk.run', 'Run', 'track'),
    ('visdom', 'Visdom', '_send'),
)
_FUNCTIONS = (('wandb', 'log'), ('mlflow', 'log_metric'), ('mlflow', 'log_metrics'), ('swanlab', 'log'))


@contextmanager
def silent_logs() -> Iterator[None]:
    """Return a context in which nothing is written to loggers, TensorBoard and wandb.

    Loggers of torch are left alone: its compiler logs each message only once. So are errors.
    """
    handle = logging.Logger.handle

    def silent(logger: logging.Logger, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR or logger.name.partition('.')[0] == 'torch':
            handle(logger, record)

    with ExitStack() as stack:
        stack.enter_context(replaced(logging.Logger, 'handle', silent))
        for module, name, method in _WRITERS:
            writer = getattr(sys.modules.get(module), name, None)
            if writer is not None and hasattr(writer, method):
                stack.enter_context(replaced(writer, method, _nothing))
        for module, name in _FUNCTIONS:
            if hasattr(sys.modules.get(module), name):
                stack.enter_context(replaced(sys.modules[module], name, _nothing))
        yield


def _nothing(*args: Any, **kwargs: Any) -> None:
    return None


@contextmanager
def noted_files() -> Iterator[set[str]]:
    """Yield the paths of files that code of Python opens for writing in the body of the context.

    Those in folders for temporary files and in caches (compilers keep some there) are left out.
    """
    paths: set[str] = set()
    original = builtins.open

    def noted(file: Any, mode: str = 'r', *args: Any, **kwargs: Any) -> Any:
        if isinstance(file, (str, os.PathLike)) and set(mode) & set('wax+'):
            path = os.path.realpath(os.fsdecode(file))
            if not path.startswith(_aside()):
                paths.add(path)
        return original(file, mode, *args, **kwargs)

    with replaced(builtins, 'open', noted):
        yield paths


def _aside() -> tuple[str, ...]:
    home = os.path.expanduser('~')
    return (os.path.realpath(tempfile.gettempdir()), '/dev/', '/proc/', f'{home}/.cache', f'{home}/.triton')

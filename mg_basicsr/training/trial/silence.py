"""Logs that are silent during trial steps, which leave no trace."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from mg_basicsr.patching import replaced

# Module, class in it, and method through which every entry goes
_WRITERS = (
    ('torch.utils.tensorboard.writer', 'FileWriter', 'add_event'),
    ('tensorboardX.writer', 'FileWriter', 'add_event'),
    ('wandb.sdk.wandb_run', 'Run', 'log'),
)


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
        if hasattr(sys.modules.get('wandb'), 'log'):
            stack.enter_context(replaced(sys.modules['wandb'], 'log', _nothing))
        yield


def _nothing(*args: Any, **kwargs: Any) -> None:
    return None

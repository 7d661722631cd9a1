"""End of a training process: workers, threads and the process group of a run end in order, at every exit code.

Left to the interpreter, threads of a process group are still running while its static objects are destroyed, which ends
a run that had finished with SIGABRT now and then, and events of TensorBoard that are not on the disk yet are lost. No
rank waits for another here, which may have died: nothing is exchanged, and each part has a time limit.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress

from torch.nn.parallel import DistributedDataParallel

from mg_basicsr.host.run import Run, activate, active_run
from mg_basicsr.training.host_model import wrapped_networks

SECONDS = 20.0  # for each part; a part that is not at its end by then is left to the interpreter

# Threads that write event files: of tensorboard and of tensorboardX. Their `stop` writes what is queued, and joins.
_WRITER_THREADS = ('_AsyncWriterThread', '_EventLoggerThread')


def end_in_order_at_exit(run: Run) -> None:
    """Register `end_in_order` for the end of this process.

    Args:
        run: The run that this process trains.
    """
    process = os.getpid()

    def at_exit() -> None:
        if os.getpid() == process:  # a forked process has inherited the registration
            end_in_order(run)

    atexit.register(at_exit)


def end_in_order(run: Run) -> None:
    """End workers, writers of events, the model and the process group of a run. Can be called again.

    Args:
        run: The run.
    """
    run.stop.put_back()  # here, since only the main thread may
    wrappers = wrapped_networks(run.model) if run.has_model else []
    for part in (run.end, _write_events, lambda: _release(wrappers), _leave_process_group):
        within(SECONDS, part)
    if active_run() is run:
        activate(None)


def within(seconds: float, part: Callable[[], object]) -> bool:
    """Call a function in a separate thread, and return whether it came to its end in time. Errors are dropped.

    Args:
        seconds: Time limit in seconds.
        part: The function. The end of a process must not fail because of it.
    """

    def call() -> None:
        with suppress(Exception):  # such as an error of the device, which has been reported already
            part()

    thread = threading.Thread(target=call, daemon=True)
    try:
        thread.start()
    except RuntimeError:  # Python 3.12.0 starts no thread at this point
        call()
        return True
    thread.join(seconds)
    return not thread.is_alive()


def _write_events() -> None:
    """Write the events that are queued for TensorBoard's files. BasicSR closes them at the end of a training only."""
    for thread in threading.enumerate():
        if type(thread).__name__ in _WRITER_THREADS:
            thread.stop()  # type: ignore[attr-defined]
            for name in ('_record_writer', '_ev_writer'):
                if hasattr(thread, name):
                    getattr(thread, name).flush()


def _release(wrappers: Iterable[DistributedDataParallel]) -> None:
    """Delete references to the process group: those of the wrappers, and of the frames of an error.

    A script may still refer to the wrappers themselves.
    """
    for wrapper in wrappers:
        for name in ('reducer', 'logger', 'process_group'):
            vars(wrapper).pop(name, None)
    for name in ('last_exc', 'last_value', 'last_traceback'):
        if hasattr(sys, name):
            setattr(sys, name, None)
    gc.collect()


def _leave_process_group() -> None:
    """Destroy the process group. Each rank does so alone."""
    distributed = sys.modules.get('torch.distributed')
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()

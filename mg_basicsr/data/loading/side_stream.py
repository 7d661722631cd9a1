"""Copies to a GPU that run beside the step in progress, for prefetchers that fetch a batch ahead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch


class SideStream:
    """A CUDA stream of its own for what the next step needs.

    Work that is put on the current stream waits for all of the step that was put there before it. Here it does not,
    and the step that takes the result waits for exactly that result, not for what has been begun after it.
    """

    def __init__(self, device: torch.device) -> None:
        self.stream = torch.cuda.Stream(device)

    @contextmanager
    def beside(self) -> Iterator[torch.cuda.Event]:
        """What the body starts runs on the side stream. The event that is yielded has happened when it is done."""
        done = torch.cuda.Event()
        with torch.cuda.stream(self.stream):
            yield done
            done.record(self.stream)

    def hand_over(self, batch: Mapping[str, Any], done: torch.cuda.Event) -> None:
        """The current stream goes on only when `done` has happened, and the batch's memory is kept for its work."""
        current = torch.cuda.current_stream(self.stream.device)
        current.wait_event(done)
        for value in batch.values():
            if torch.is_tensor(value) and value.is_cuda:
                value.record_stream(current)

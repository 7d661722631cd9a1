"""Copies to a GPU that run during the step in progress, for prefetchers that fetch a batch ahead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch


class SideStream:
    """CUDA stream for copies that the next step needs.

    On the current stream a copy waits for all of the step that was queued before it. On this one it does not, and the
    step that uses the result waits for that result alone, not for copies that were started after it.
    """

    def __init__(self, device: torch.device) -> None:
        self.stream = torch.cuda.Stream(device)

    @contextmanager
    def beside(self) -> Iterator[torch.cuda.Event]:
        """Run the body's CUDA work on the side stream; yield an event that is recorded when that work is done."""
        done = torch.cuda.Event()
        with torch.cuda.stream(self.stream):
            yield done
            done.record(self.stream)

    def hand_over(self, batch: Mapping[str, Any], done: torch.cuda.Event) -> None:
        """Let the current stream wait for a batch, and keep the batch's memory until that stream has used it.

        Args:
            batch: Tensors made by the body of `beside`, and other values.
            done: The event that `beside` yielded.
        """
        current = torch.cuda.current_stream(self.stream.device)
        current.wait_event(done)
        for value in batch.values():
            if torch.is_tensor(value) and value.is_cuda:
                value.record_stream(current)

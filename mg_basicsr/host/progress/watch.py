"""Observer of a run, as the hooks know it. This one does nothing: it is that of every rank but the first."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from mg_basicsr.schedule.plan import RankBatch, Step


class Watch:
    """Observer of a run. Every method does nothing; `Monitor` overrides them."""

    def begin(self, step: Step) -> None:
        """Note that an iteration begins. Called after its mini-batch has been fetched."""

    def fetched(self, seconds: float) -> None:
        """Note the seconds that the train loop waited for a mini-batch."""

    def tried(self, seconds: Mapping[RankBatch, float]) -> None:
        """Note the seconds of a trial step of each shape."""

    def pause(self, kind: str) -> AbstractContextManager[None]:
        """Return a context whose time is no training: 'saving' or 'trial'."""
        return nullcontext()

    def validation(self, tensorboard: Any) -> AbstractContextManager[None]:
        """Return a context for a validation, whose scores are noted.

        Args:
            tensorboard: The host's writer for TensorBoard; None without one.
        """
        return nullcontext()

    def values(self) -> dict[str, float]:
        """Return what is added to a log line."""
        return {}

    def log_line(self, message_logger: Any, values: Mapping[str, Any]) -> AbstractContextManager[None]:
        """Return a context in which the host writes a log line.

        Args:
            message_logger: BasicSR's MessageLogger.
            values: Values of the line: `iter`, `lrs`, losses and others.
        """
        return nullcontext()

    def end(self) -> None:
        """Note that all iterations are trained."""

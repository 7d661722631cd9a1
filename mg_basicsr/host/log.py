"""Access to BasicSR's logger, which writes to the experiment's log file and, on rank 0, to the screen."""

from __future__ import annotations

import logging


def logger() -> logging.Logger:
    """Return BasicSR's logger."""
    return logging.getLogger('basicsr')


class _FirstRecord(logging.Filter):
    """Filter that adds a line before the first record, when the host has given the logger its file."""

    def __init__(self, line: str) -> None:
        super().__init__()
        self.line = line

    def filter(self, record: logging.LogRecord) -> bool:
        """Log the line, once, and let the record pass."""
        logger().removeFilter(self)
        logger().info(self.line)
        return True


def log_at_start(line: str) -> None:
    """Log a line, once, when the host logs its first one: before, its logger has no file and loses what is logged."""
    if not any(isinstance(waiting, _FirstRecord) and waiting.line == line for waiting in logger().filters):
        logger().addFilter(_FirstRecord(line))

"""Access to BasicSR's logger, which writes to the experiment's log file and, on rank 0, to the screen."""

from __future__ import annotations

import logging


def logger() -> logging.Logger:
    """Return BasicSR's logger."""
    return logging.getLogger('basicsr')

"""Shims for the loggers that BasicSR opens. Dated and used like those of `compat.py`, which has them in its table."""

from __future__ import annotations

import secrets
import string
from types import ModuleType

from mg_basicsr.patching import replace


def wandb_id(util: ModuleType) -> None:
    """Provide `wandb.util.generate_id`.

    2026-11. wandb has moved this function, which BasicSR's `init_wandb_logger` calls for the id of a new run. Can be
    removed when BasicSR leaves the id to wandb.
    """
    if not hasattr(util, 'generate_id'):
        replace(util, 'generate_id', _random_id, 'gone from wandb, and called by BasicSR')


def _random_id(length: int = 8) -> str:
    """Return an id as wandb makes them; training's random numbers are not touched."""
    return ''.join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(length))

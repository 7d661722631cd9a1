"""BasicSR's own training pipeline, called with the working directory as its root."""

from __future__ import annotations

import importlib
import os

from mg_basicsr.errors import ConfigError
from mg_basicsr.host.entry.which_basicsr import NOT_INSTALLED


def train() -> None:
    """Run BasicSR's train_pipeline, which parses sys.argv itself.

    Raises:
        ConfigError: basicsr is not installed.
        ModuleNotFoundError: basicsr itself lacks a module.
    """
    try:
        module = importlib.import_module('basicsr.train')
    except ModuleNotFoundError as error:
        if error.name != 'basicsr':
            raise
        raise ConfigError(NOT_INSTALLED) from None
    module.train_pipeline(os.getcwd())

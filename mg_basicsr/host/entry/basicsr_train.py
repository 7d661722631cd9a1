"""BasicSR's own training pipeline, called with the working directory as its root."""

from __future__ import annotations

import importlib
import os

from mg_basicsr.errors import ConfigError, Problem
from mg_basicsr.host.entry.search_path import other_basicsr
from mg_basicsr.host.log import log_at_start


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
        raise ConfigError(
            Problem(
                '',
                'basicsr is not installed in this environment',
                'needed: BasicSR, or a repository that carries its own',
                'pip install --no-build-isolation basicsr, or mg-basicsr run path/to/train.py -opt ...',
            )
        ) from None
    if line := other_basicsr(module.__file__):
        log_at_start(line)
    module.train_pipeline(os.getcwd())

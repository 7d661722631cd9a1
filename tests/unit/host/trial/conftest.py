"""Data that trials of the host's own work read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.clips import write_set
from tests.helpers.stock_files import write_data


@pytest.fixture(scope='session')
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`GT/`, `LQ/`, `meta.txt`, `val/`, `septuplets/` and `images/`."""
    root = write_set(tmp_path_factory.mktemp('data'))
    write_data(root)
    return root

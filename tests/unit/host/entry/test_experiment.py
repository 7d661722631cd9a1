"""Folder of an experiment, as BasicSR makes it."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mg_basicsr.errors import ConfigError
from mg_basicsr.host.entry.experiment import make_folder

RUN: Any = SimpleNamespace(rank=1)  # locks nothing


def test_two_starts_within_a_second(tmp_path: Path) -> None:
    """BasicSR puts the folder of the first aside under a name that tells the second."""
    aside = [tmp_path / 'x_archived_1', tmp_path / 'x_archived_2']
    for folder in (tmp_path / 'x', aside[0]):
        folder.mkdir()
        (folder / 'train.log').touch()
    names = iter(aside)

    def mkdir_and_rename(path: str) -> None:
        os.rename(path, next(names))
        os.mkdir(path)

    make_folder(RUN, mkdir_and_rename, str(tmp_path / 'x'))
    assert (aside[1] / 'train.log').exists() and not list((tmp_path / 'x').iterdir())


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / 'file').touch()
    with pytest.raises(ConfigError, match='cannot be made: Not a directory'):
        make_folder(RUN, os.mkdir, str(tmp_path / 'file/x'))

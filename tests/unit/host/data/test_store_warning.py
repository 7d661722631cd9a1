"""A store that was made from other frames than the options file names: a warning at the start, and the run goes on."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest

from mg_basicsr.data.store.building.build import build
from mg_basicsr.data.store.building.inputs import from_options
from mg_basicsr.data.store.format import Header
from mg_basicsr.host.data.datasets import our_dataset
from mg_basicsr.train_set import TrainSetOptions, train_set_of
from tests.helpers.foreign_sets import replace_frames
from tests.helpers.frame_sets import SCALE, block, write_reds


@pytest.mark.parametrize('changed', [False, True])
def test_a_wrong_lq_root(
    tmp_path: Path, changed: bool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_reds(tmp_path, {'001': 6, '002': 6})
    build(tmp_path / 'store', Header(SCALE), from_options(TrainSetOptions.parse(block(root), SCALE), 'reds', None))
    shutil.copytree(root / 'LQ', root / 'LQ2')
    if changed:
        replace_frames(root / 'LQ2')
    values = block(root, type='REDSRecurrentDataset', dataroot_lq=str(root / 'LQ2'))
    with caplog.at_level(logging.WARNING, 'basicsr'):
        monkeypatch.setattr(logging.getLogger('basicsr'), 'propagate', True)
        dataset = our_dataset(train_set_of({'scale': SCALE, 'datasets': {'train': values}}), str(tmp_path / 'store'))
    assert dataset is not None
    assert ('clip 001 was made from other LQ frames' in caplog.text) is changed

"""Options and data of a run, read together."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from mg_basicsr.errors import ConfigError, DataError
from mg_basicsr.host.data.planned_data import PlannedData, resolve_with_data
from mg_basicsr.parsing.options_file import OptionsFile
from tests.helpers.frame_sets import block, lmdb_block, to_lmdb, write_reds
from tests.helpers.stock_options import stock


@pytest.fixture(scope='module')
def reds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_reds(tmp_path_factory.mktemp('reds'), {'001': 9})


def planned(root: Path, keys: dict[str, Any] | None = None, **changes: Any) -> PlannedData:
    options = stock(block={'preset': 'lin2022', 'min_lq_size': 1, **(keys or {})}, changes={'num_gpu': 1})
    options['datasets']['train'] |= block(root, **changes)
    return resolve_with_data(OptionsFile(Path('options.yml'), (), options), 1)


def test_the_data_set_is_made_from_the_options_that_were_planned(reds: Path) -> None:
    found = planned(reds)
    assert found.dataset is not None
    assert found.dataset.options == found.settings.train_set.options
    assert (found.grid.temporal, found.grid.spatial) == (False, False)
    assert planned(reds, type='TheirDataset').dataset is None


def test_problems_of_options_and_of_data_are_reported_together(reds: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        planned(reds, {'presett': 'lin2022'}, meta_info_file='nowhere.txt')
    options = [problem.option for problem in caught.value.problems]
    assert options == ['multigrid.presett', 'datasets.train.meta_info_file']


def test_a_problem_of_the_set_is_reported_once(reds: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        planned(reds, gt_size=16.0, dataroot_gt='nowhere')
    named = [problem.option for problem in caught.value.problems]
    assert named == ['datasets.train.gt_size', 'datasets.train.dataroot_gt']


def test_data_that_is_too_small_for_a_shape(reds: Path) -> None:
    with pytest.raises(DataError, match='48x64'):
        planned(reds, gt_size=64)


def test_an_lmdb_that_was_cut_short_is_reported_in_place_of_what_would_be_read_from_it(
    reds: Path, tmp_path: Path
) -> None:
    lmdbs = to_lmdb(reds, tmp_path)
    path = lmdbs / 'LQ.lmdb/data.mdb'
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(ConfigError) as caught:
        planned(reds, **lmdb_block(reds, lmdbs))
    (problem,) = caught.value.problems
    assert problem.option == 'datasets.train.dataroot_lq' and f'{path} has' in problem.what

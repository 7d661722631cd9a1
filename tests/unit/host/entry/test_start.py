"""Starting a run from a command line: what is planned, what is left alone, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from mg_basicsr.errors import ConfigError
from mg_basicsr.host.data.planned_data import resolve_with_data
from mg_basicsr.host.entry.command_line import parse_command_line
from mg_basicsr.host.entry.start import start_run
from mg_basicsr.host.run import activate, active_run
from mg_basicsr.parsing.options_file import load_options
from tests.helpers.frame_sets import block, write_reds
from tests.helpers.stock_options import stock

BLOCK = {'preset': 'lin2022', 'min_lq_size': 4, 'min_frames': 3}


@pytest.fixture(autouse=True)
def no_run_left() -> Iterator[None]:
    yield
    activate(None)


@pytest.fixture
def options(tmp_path: Path) -> dict[str, Any]:
    root = write_reds(tmp_path / 'set', {'001': 6, '002': 6})
    options = stock(block=BLOCK, changes={'num_gpu': 1})
    options['datasets']['train'] |= {**block(root, num_frame=6, gt_size=32), 'batch_size_per_gpu': 2}
    return options


def start(tmp_path: Path, options: dict[str, Any], *arguments: str) -> Any:
    (tmp_path / 'x.yml').write_text(yaml.safe_dump(options))
    return start_run(parse_command_line(['-opt', str(tmp_path / 'x.yml'), *arguments]))


def test_the_run_is_planned_and_active(options: dict[str, Any], tmp_path: Path) -> None:
    run = start(tmp_path, options, '--auto_resume')
    assert run is active_run() and run.specification.auto_resume and run.rank == 0
    assert run.plan.world_size == 1 and len(run.specification.dataset) > 0


def test_without_a_file_or_a_block_there_is_no_run(options: dict[str, Any], tmp_path: Path) -> None:
    assert start_run(parse_command_line(['--debug'])) is None
    del options['multigrid']
    assert start(tmp_path, options) is None and active_run() is None


def test_keys_of_a_block_without_its_line_are_refused(options: dict[str, Any], tmp_path: Path) -> None:
    del options['multigrid']
    options['train'] |= BLOCK
    with pytest.raises(ConfigError, match=r'train\.preset: lin2022 is a preset of the multigrid block'):
        start(tmp_path, options)


def test_ranks_are_those_of_the_launcher(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('WORLD_SIZE', '2')
    monkeypatch.setenv('RANK', '1')
    run = start(tmp_path, options, '--launcher', 'pytorch')
    assert (run.plan.world_size, run.rank) == (2, 1)


def test_several_gpus_in_one_process_are_refused(options: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match='num_gpu: 2 GPUs in one process'):
        start(tmp_path, {**options, 'num_gpu': 2})
    assert active_run() is None


def test_problems_of_the_block_and_of_the_data_are_reported_together(options: dict[str, Any], tmp_path: Path) -> None:
    options['multigrid']['spatials'] = [1.0]
    options['datasets']['train'] |= {'meta_info_file': 'nowhere.txt', 'gt_size': 33}
    (tmp_path / 'x.yml').write_text(yaml.safe_dump(options))
    with pytest.raises(ConfigError) as caught:
        resolve_with_data(load_options(tmp_path / 'x.yml'), 1)
    named = [problem.option for problem in caught.value.problems]
    assert 'multigrid.spatials' in named and 'datasets.train.gt_size' in named
    assert len(named) == len(set(named))  # each once, though both readers find it

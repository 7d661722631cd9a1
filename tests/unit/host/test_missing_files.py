"""Every file that a run needs and that is missing: option, path and where to get it; nothing is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.helpers.clips import write_set
from tests.helpers.start import problems_at_start
from tests.helpers.stock_files import changed, recipe, write_data

DATA, LISTS = 'DatasetPreparation.md', 'meta_info'
CASES = [
    ('recurrent_reds', 'network_g.spynet_path', 'spynet.pth', 'download_pretrained_models.py'),
    ('recurrent_reds', 'path.pretrain_network_g', 'gone.pth', 'download it'),
    ('edvr', 'path.pretrain_network_g', 'gone.pth', 'train from scratch'),
    ('recurrent_reds', 'path.resume_state', 'gone.state', 'begin anew'),
    ('recurrent_reds', 'datasets.train.meta_info_file', 'gone.txt', LISTS),
    ('recurrent_vimeo', 'datasets.train.meta_info_file', 'gone.txt', LISTS),
    ('recurrent_reds', 'datasets.train.dataroot_gt', 'gone/GT', DATA),
    ('recurrent_reds', 'datasets.train.dataroot_lq', 'gone/LQ', DATA),
    ('recurrent_vimeo', 'datasets.train.dataroot_lq', 'gone', DATA),
    ('edvr', 'datasets.train.dataroot_flow', 'gone/flow', 'correct the path'),
    ('image', 'datasets.train.dataroot_gt', 'gone', DATA),
    ('recurrent_reds', 'datasets.val.dataroot_gt', 'gone/GT', DATA),
    ('image', 'datasets.val.dataroot_lq', 'gone', DATA),
    ('recurrent_vimeo', 'datasets.val.meta_info_file', 'gone.txt', LISTS),
    ('recurrent_reds', 'multigrid.store', 'gone_store', 'mg-basicsr prepare -opt FILE -o gone_store'),
]


@pytest.fixture(autouse=True)
def released_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    """BasicSR's own classes behind its names, whatever other tests have registered in this process."""
    monkeypatch.setattr('mg_basicsr.host.known_classes.own_datasets', lambda: frozenset())


@pytest.fixture(scope='module')
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('clips')
    write_set(folder)
    write_data(folder)
    return folder


@pytest.mark.parametrize(('kind', 'option', 'path', 'remedy'), CASES)
def test_it_is_named(clips: Path, tmp_path: Path, kind: str, option: str, path: str, remedy: str) -> None:
    problems = problems_at_start(changed(recipe(kind, clips), tuple(option.split('.')), path), tmp_path)
    assert [problem.option for problem in problems] == [option]
    assert path in problems[0].what and remedy in problems[0].remedy and problems[0].allowed


def test_several_are_named_at_once(clips: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = recipe('recurrent_reds', clips)
    places = [option for kind, option, *_ in CASES if kind == 'recurrent_reds' and 'store' not in option]
    places.remove('path.pretrain_network_g')  # a resumed run needs none
    for option in places:
        options = changed(options, tuple(option.split('.')), 'gone')
    named = {problem.option for problem in problems_at_start(options, tmp_path)}
    assert named == set(places)

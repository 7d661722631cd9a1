"""Files and packages that a run needs are looked for before anything is written."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from mg_basicsr.host import needed
from mg_basicsr.host.needed import needed_problems


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told(options: dict[str, Any], auto_resume: bool = False) -> dict[str, str]:
    return {problem.option: str(problem) for problem in needed_problems(options, auto_resume)}


@pytest.mark.parametrize(
    ('options', 'option', 'remedy'),
    [
        ({'network_g': {'spynet_path': 'a/spynet.pth'}}, 'network_g.spynet_path', 'spynet_sintel_final-3d2a1287.pth'),
        ({'network_g': {'edvr_path': 'edvr.pth'}}, 'network_g.edvr_path', 'model zoo of BasicSR'),
        ({'network_g': {'flow': {'load_path': 'f.pth'}}}, 'network_g.flow.load_path', 'download'),
        ({'network_d': {'pretrained': 'd.pth'}}, 'network_d.pretrained', 'download'),
        ({'path': {'pretrain_network_g': 'g.pth'}}, 'path.pretrain_network_g', 'from scratch'),
        ({'path': {'resume_state': '5.state'}}, 'path.resume_state', 'begin anew'),
        ({'datasets': {'train': {'dataroot_flow': 'flow'}}}, 'datasets.train.dataroot_flow', 'train without flow'),
        ({'datasets': {'val': {'dataroot_gt': 'nowhere'}}}, 'datasets.val.dataroot_gt', 'DatasetPreparation.md'),
        ({'datasets': {'val': {'meta_info_file': 'list.txt'}}}, 'datasets.val.meta_info_file', 'meta_info of BasicSR'),
    ],
)
def test_missing_files(here: Path, options: dict[str, Any], option: str, remedy: str) -> None:
    problems = told(options)
    assert list(problems) == [option] and remedy in problems[option]
    assert len(problems[option].splitlines()) == 3
    *_, last = option.split('.')
    value = problems[option].split(': ')[1].split()[0]
    (here / value).parent.mkdir(exist_ok=True)
    (here / value).mkdir() if last.startswith('dataroot') else (here / value).touch()
    assert told(options) == {}


def test_a_folder_and_a_home_that_is_not_expanded(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert 'Is a directory' in told({'network_g': {'spynet_path': str(here)}})['network_g.spynet_path']
    monkeypatch.setenv('HOME', str(here))
    (here / 'spynet.pth').touch()
    assert f'write {here}/spynet.pth' in told({'network_g': {'spynet_path': '~/spynet.pth'}})['network_g.spynet_path']
    assert told({'path': {'pretrain_network_g': '~/spynet.pth'}}) == {}  # BasicSR expands this one


def test_what_a_resumed_run_takes_from_its_checkpoint(here: Path) -> None:
    options = {'name': 'run', 'path': {'pretrain_network_g': 'gone.pth', 'resume_state': '5.state'}}
    (here / '5.state').touch()
    assert told(options) == {}
    options['path']['resume_state'] = None  # type: ignore[index]
    assert list(told(options, auto_resume=True)) == ['path.pretrain_network_g']
    (here / 'experiments/run/training_states').mkdir(parents=True)
    (here / 'experiments/run/training_states/5.state').touch()
    assert told(options, auto_resume=True) == {}
    options['path']['ignore_resume_networks'] = ['network_g']  # type: ignore[index]
    assert list(told(options, auto_resume=True)) == ['path.pretrain_network_g']


def test_a_store_needs_no_folders(here: Path) -> None:
    (here / 's').mkdir()
    (here / 's/store.json').touch()
    assert told({'datasets': {'train': {'dataroot_lq': 'gone'}}, 'multigrid': {'store': 's'}}) == {}


def test_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    options = {'name': 'run', 'logger': {'use_tb_logger': True, 'wandb': {'project': 'p'}}}
    assert list(told(options)) == ['logger.use_tb_logger', 'logger.wandb.project']
    assert told({**options, 'name': 'debug_run'}) == {}
    assert told({'name': 'run', 'logger': {'use_tb_logger': False, 'wandb': {'project': None}}}) == {}


def test_weights_of_the_perceptual_loss(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needed.urllib.request, 'urlopen', refuse)
    monkeypatch.setenv('TORCH_HOME', str(here))
    options = {'train': {'perceptual_opt': {'layer_weights': {'conv5_4': 1}, 'vgg_type': 'vgg19'}}}
    problem = told(options)['train.perceptual_opt']
    assert 'vgg19-dcbb9e9d.pth' in problem and 'cannot be downloaded' in problem
    (here / 'hub/checkpoints').mkdir(parents=True)
    (here / 'hub/checkpoints/vgg19-dcbb9e9d.pth').touch()
    assert told(options) == {}


def refuse(*args: Any, **kwargs: Any) -> None:
    raise OSError('no network')

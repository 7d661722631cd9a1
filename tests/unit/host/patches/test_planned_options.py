"""`yaml.load` of the file that -opt names gives the host the plan's numbers; of any other file, what is in it."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import yaml
from basicsr.utils.options import ordered_yaml

from mg_basicsr import patching
from mg_basicsr.host import run as runs
from mg_basicsr.host.patches.planned_options import patch_yaml, planned_options
from mg_basicsr.parsing.options_file import load_options

OPTIONS = 'name: x\ntrain: {total_iter: 600, warmup_iter: 100, optim_g: {lr: 2e-4}}\n'


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    before = len(patching.in_force())
    yield
    patching.undo(before)


@pytest.fixture
def host() -> Any:
    """A yaml of which only `load` is patched here."""
    module = ModuleType('yaml')
    module.load = lambda stream, Loader=yaml.SafeLoader: yaml.safe_load(stream)  # type: ignore[attr-defined]
    for _ in range(2):
        patch_yaml(module)
    return module


def planned(monkeypatch: pytest.MonkeyPatch, *force_yml: str) -> Any:
    """Makes a run active."""
    run = SimpleNamespace(
        file=SimpleNamespace(force_yml=force_yml, merges=False),
        settings=SimpleNamespace(seed=7),
        specification=SimpleNamespace(dataset=None),
        plan=SimpleNamespace(total_iter=60),
    )
    monkeypatch.setattr(runs, '_active', run)
    return run


def test_only_the_file_that_opt_names(host: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planned(monkeypatch)
    for name in ('x.yml', 'other.yml'):
        (tmp_path / name).write_text(OPTIONS)
    monkeypatch.setattr(sys, 'argv', ['train.py', '-opt', str(tmp_path / 'x.yml')])
    (tmp_path / 'link.yml').symlink_to('x.yml')
    for name, total in (('x.yml', 60), ('link.yml', 60), ('other.yml', 600)):
        with open(tmp_path / name) as file:
            assert host.load(file)['train']['total_iter'] == total
    assert host.load(OPTIONS)['train']['total_iter'] == 60  # the file's text
    assert host.load('a: 1') == {'a': 1}
    monkeypatch.setattr(sys, 'argv', ['train.py'])
    assert host.load(OPTIONS)['train']['total_iter'] == 600


def test_force_yml_is_applied_and_leaves_the_command_line(
    host: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned(monkeypatch, 'name=forced')
    path = tmp_path / 'x.yml'
    path.write_text(OPTIONS)
    given = ['train.py', '-opt', str(path), '--force_yml', 'name=forced', '--auto_resume']
    monkeypatch.setattr(sys, 'argv', given)
    before = len(patching.in_force())
    for _ in range(2):
        assert host.load(OPTIONS)['name'] == 'forced'
    assert sys.argv == ['train.py', '-opt', str(path), '--auto_resume']
    assert len(patching.in_force()) == before + 1
    patching.undo(before)
    assert sys.argv is given


def test_without_a_block_nothing_changes(host: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / 'x.yml').write_text(OPTIONS)
    given = ['train.py', '-opt', str(tmp_path / 'x.yml'), '--force_yml', 'name=forced']
    monkeypatch.setattr(sys, 'argv', given)
    assert host.load(OPTIONS) == yaml.safe_load(OPTIONS)
    assert sys.argv is given


def test_a_users_error_ends_the_process(
    host: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = OPTIONS + 'multigrid: {preset: lin2023}\n'
    (tmp_path / 'x.yml').write_text(text)
    monkeypatch.setattr(sys, 'argv', ['train.py', '-opt', str(tmp_path / 'x.yml')])
    with pytest.raises(SystemExit) as ended:
        host.load(text)
    assert ended.value.code == 2 and "multigrid.preset: 'lin2023'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ('changes', 'expected'),
    [({}, None), ({'fix_flow': 5}, True), ({'tsa_iter': 5}, True), ({'fix_flow': 0}, None)],
)
def test_numbers_of_the_plan(changes: dict[str, int], expected: bool | None, monkeypatch: pytest.MonkeyPatch) -> None:
    options = yaml.safe_load(OPTIONS)
    options['train'] |= changes
    assert planned_options(options, planned(monkeypatch)) is options
    assert options['manual_seed'] == 7
    assert (options['train']['total_iter'], options['train']['warmup_iter']) == (60, -1)
    assert options['train']['optim_g']['lr'] == 2e-4
    assert options.get('find_unused_parameters') is expected


def test_merge_keys_reach_the_host_resolved(host: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """BasicSR's own constructor of mappings does not know them."""
    text = 'name: x\nbase: &base {lr: 2e-4, type: Adam}\ntrain: {total_iter: 600, optim_g: {<<: *base, lr: 1e-3}}\n'
    (tmp_path / 'x.yml').write_text(text)
    monkeypatch.setattr(sys, 'argv', ['train.py', '-opt', str(tmp_path / 'x.yml')])
    run = planned(monkeypatch)
    file = load_options(tmp_path / 'x.yml')
    run.file = SimpleNamespace(force_yml=(), merges=file.merges, options=file.options)
    options = host.load(text, Loader=ordered_yaml()[0])
    assert file.merges and options['train']['optim_g'] == {'lr': 1e-3, 'type': 'Adam'}
    assert isinstance(options['train'], OrderedDict) and options['train'] is not file.options['train']
    monkeypatch.setattr(sys, 'argv', ['train.py'])
    with pytest.raises(yaml.YAMLError):  # why it is needed
        yaml.load(text, Loader=ordered_yaml()[0])


@pytest.mark.parametrize(
    ('path', 'text', 'number'),
    [
        ('train.optim_g.weight_decay', '1e-4', 1e-4),
        ('train.optim_g.betas', '[9e-1, 0.99]', [0.9, 0.99]),
        ('train.scheduler.periods', '[3e5, 3e5]', [300000, 300000]),
        ('train.scheduler.milestones', '[1e3]', [1000]),
        ('train.pixel_opt.loss_weight', '1e0', 1),
        ('train.ema_decay', '999e-3', 0.999),
        ('val.val_freq', '5e3', 5000),
        ('val.metrics.psnr.crop_border', '"2"', 2),
        ('logger.save_checkpoint_freq', '5e3', 5000),
        ('network_g.eps', '1e-6', 1e-6),
        ('val.metrics.psnr.type', '1e-6', '1e-6'),
        ('logger.wandb.resume_id', '3e8', '3e8'),
        ('train.perceptual_opt.weights_path', '1e3', '1e3'),
        ('path.pretrain_network_g', '1e3', '1e3'),
    ],
)
def test_the_host_gets_numbers_in_place_of_text(
    path: str, text: str, number: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = yaml.safe_load(OPTIONS)
    *sections, key = path.split('.')
    section = options
    for name in sections:
        section = section.setdefault(name, {})
    section[key] = yaml.safe_load(text)
    planned_options(options, planned(monkeypatch))
    assert section[key] == number and type(section[key]) is type(number)

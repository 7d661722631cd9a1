"""Presets from outside the package: registered by a call or found through an entry point."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from mg_basicsr.cli.main import main
from mg_basicsr.config.presets import Block, Preset, key, register, table
from mg_basicsr.errors import ConfigError
from mg_basicsr.parsing.values import positive
from mg_basicsr.schedule.plan import StageSpec
from tests.helpers.stock_options import described, resolved, stock

EXAMPLE = Path(__file__).parents[4] / 'examples' / 'own_preset'
BLOCK = {'preset': 'two_sizes', 'share': 0.25}


@pytest.fixture(autouse=True)
def own_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone after it."""
    monkeypatch.setattr(table, '_presets', dict(table._presets))


@pytest.fixture
def two_sizes() -> Preset[Any]:
    """The example's preset, registered."""
    spec = importlib.util.spec_from_file_location('two_sizes_example', EXAMPLE / 'two_sizes.py')
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look the module of a class up
    spec.loader.exec_module(module)
    register(module.PRESET)
    return module.PRESET


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, entry: str, package: str = 'two-sizes') -> None:
    """Put a package with one entry point on the path, as pip would."""
    info = folder / f'{package.replace("-", "_")}-0.1.dist-info'
    info.mkdir(parents=True)
    (info / 'METADATA').write_text(f'Metadata-Version: 2.1\nName: {package}\nVersion: 0.1\n')
    (info / 'entry_points.txt').write_text(f'[mg_basicsr.presets]\n{entry}\n')
    monkeypatch.syspath_prepend(str(folder))


def command(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


def first_lines(options: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        resolved(options)
    return [str(problem).partition('\n')[0] for problem in caught.value.problems]


@pytest.mark.usefixtures('two_sizes')
def test_commands_take_a_registered_preset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, after, pasted = (tmp_path / name for name in ('x.yml', 'y.yml', 'z.yml'))
    before.write_text(yaml.safe_dump(stock()))
    assert command('convert', '-opt', before, '-o', after, '--preset', 'two_sizes') == 0
    assert 'preset: two_sizes' in after.read_text()
    capsys.readouterr()
    assert command('plan', '-opt', after, '--json') == 0
    plan = json.loads(capsys.readouterr().out)
    assert [(stage['iters'], stage['gt_size']) for stage in plan['stages']] == [(150_000, 128), (150_000, 256)]
    assert command('plan', '-opt', after, '--yaml') == 0
    pasted.write_text(before.read_text() + capsys.readouterr().out)
    assert command('plan', '-opt', pasted, '--json') == 0
    assert json.loads(capsys.readouterr().out) == plan


@pytest.mark.usefixtures('two_sizes')
@pytest.mark.parametrize(
    ('block', 'told'),
    [
        (BLOCK | {'share': 'half'}, "multigrid.share: 'half' is not allowed"),
        (BLOCK | {'share': 1.5}, 'multigrid.share: 1.5'),
        (BLOCK | {'spatial': [1.0]}, 'multigrid.spatial: not used by preset two_sizes (value [1.0])'),
        (BLOCK | {'shrae': 0.5}, 'multigrid.shrae: no such option (value 0.5)'),
        (BLOCK | {'base_batch_size': 6}, 'multigrid.base_batch_size: 6 clips cannot be divided among 4 ranks'),
        (BLOCK | {'share': 1e-9}, 'train.total_iter: 300000, which gives 300000 iterations for 2 stages'),
        ({'preset': 'lin2022', 'share': 0.5}, 'multigrid.share: not used by preset lin2022 (value 0.5)'),
    ],
)
def test_its_keys_are_checked_like_any_other(block: dict[str, Any], told: str) -> None:
    assert first_lines(stock(block=block)) == [told]


def test_an_entry_point_is_loaded_when_its_name_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = re.search(r'^two_sizes = "(.+)"$', (EXAMPLE / 'pyproject.toml').read_text(), re.MULTILINE)
    assert entry
    shutil.copy(EXAMPLE / 'two_sizes.py', tmp_path)
    install(tmp_path, monkeypatch, f'two_sizes = {entry[1]}')
    monkeypatch.delitem(sys.modules, 'two_sizes', raising=False)
    assert described(stock(block={'preset': 'lin2022'})) and 'two_sizes' not in sys.modules
    (problem,) = first_lines(stock(block={'preset': 'three_sizes'}))
    assert problem.startswith("multigrid.preset: 'three_sizes'") and 'two_sizes' not in sys.modules
    assert 'two_sizes' in table.names()
    assert [stage['iters'] for stage in described(stock(block=BLOCK))['stages']] == [75_000, 225_000]
    assert sys.modules.pop('two_sizes')


@pytest.mark.parametrize(
    ('entry', 'what'),
    [
        (
            'mine = no_such_module:PRESET',
            'mine, no_such_module:PRESET of my-presets, cannot be used: ModuleNotF',
        ),
        ('mine = json:dumps', 'cannot be used: TypeError'),
        ('mine = mg_basicsr.config.presets.lin2022:PRESET', "cannot be used: ValueError: its name is 'lin2022'"),
    ],
)
def test_a_broken_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: str, what: str) -> None:
    install(tmp_path, monkeypatch, entry, 'my-presets')
    (problem,) = first_lines(stock(block={'preset': 'mine'}))
    assert problem.startswith('multigrid.preset: ') and what in problem


def test_two_packages_with_one_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ('first', 'second'):
        text = (EXAMPLE / 'two_sizes.py').read_text()
        (tmp_path / package).mkdir()
        (tmp_path / package / f'{package}_sizes.py').write_text(text)
        install(tmp_path / package, monkeypatch, f'two_sizes = {package}_sizes:PRESET', package)
    (problem,) = first_lines(stock(block=BLOCK))
    assert "there is a preset 'two_sizes' already" in problem


def test_a_name_is_taken_once(two_sizes: Preset[Any]) -> None:
    register(two_sizes)  # the same object
    before = table.loaded()
    for name in ('lin2022', 'two_sizes'):
        with pytest.raises(ValueError, match=f"'{name}' already"):
            register(other(name))
    assert table.loaded() == before


def other(name: Any = 'mine', block: Any = Block) -> Preset[Any]:
    class Other(Preset[Any]):
        def specs(self, *arguments: object) -> list[StageSpec]:
            return []

    preset = Other()
    preset.name, preset.summary, preset.block = name, 'nothing', block
    return preset


@dataclass(frozen=True, kw_only=True)
class Undeclared(Block):
    good: float = key(positive, 0.5)
    bad: float = 0.5


@pytest.mark.parametrize(
    ('preset', 'what'),
    [
        (Block('mine'), 'is not a Preset'),
        (other(''), 'has no name'),
        (other(None), 'has no name'),
        (other(block=dict), 'is not a subclass of Block'),
        (other(block=None), 'is not a subclass of Block'),
        (other(block=Undeclared), 'that are not declared with `key`: bad'),
    ],
)
def test_what_is_not_a_preset_is_not_registered(preset: Any, what: str) -> None:
    before = table.loaded()
    with pytest.raises(TypeError, match=re.escape(what)):
        register(preset)
    assert table.loaded() == before

"""The hooks on stand-ins for the host's modules, and on BasicSR itself: put in place, listed, and taken back."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from mg_basicsr import patching
from mg_basicsr.errors import ConfigError, Problem
from mg_basicsr.host.entry.command_line import parse_command_line
from mg_basicsr.host.entry.start import start_run
from mg_basicsr.host.patches import hooks

REQUIRED = ('setup_schedulers', 'update_learning_rate', 'resume_training')
OPTIONAL = ('model_to_device', 'load_network', 'save_training_state', 'validation', 'get_current_log')
FILE = '/repository/basicsr/models/base_model.py'


@pytest.fixture(autouse=True)
def nothing_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(patching, '_missing', [])
    before = len(patching.in_force())
    yield
    patching.undo(before)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> object:
    """An active run."""
    active = object()
    monkeypatch.setattr(hooks, 'active', lambda: active)
    return active


def base_model(lacking: str = '') -> ModuleType:
    module = ModuleType('basicsr.models.base_model')
    module.__file__ = FILE
    methods = {name: lambda self, *args: args for name in (*REQUIRED, *OPTIONAL) if name != lacking}
    module.BaseModel = type('BaseModel', (), methods)  # type: ignore[attr-defined]
    return module


def prefetchers(*names: str, lacking: str = '') -> ModuleType:
    module = ModuleType('basicsr.data.prefetch_dataloader')
    methods = {name: lambda self, *args: args for name in ('reset', 'next') if name != lacking}
    for name in names:
        setattr(module, name, type(name, (), methods))
    return module


def options_file(path: Path, block: str = '') -> Path:
    path.write_text(f'name: x\n{block}')
    return path


# Around a function


def module_with(function: Any) -> ModuleType:
    module = ModuleType('host')
    module.function = function  # type: ignore[attr-defined]
    return module


def test_without_a_run_the_original_is_called() -> None:
    module = module_with(lambda *args: args)
    hooks.around(module, 'function', 'for a test')(lambda run, original, *args: 'hook')
    assert module.function(1, 2) == (1, 2)


def test_with_a_run_the_hook_is_called_once(run: object) -> None:
    module = module_with(lambda *args: args)
    for _ in range(2):
        hooks.around(module, 'function', 'for a test')(lambda run, original, *args: [run, original(*args)])
    assert module.function(1, 2) == [run, (1, 2)]


def test_an_error_of_the_users_ends_the_process(run: object, capsys: pytest.CaptureFixture[str]) -> None:
    def hook(run: object, original: Any) -> None:
        raise ConfigError(Problem('scale', '3'))

    module = module_with(lambda: None)
    hooks.around(module, 'function', 'for a test')(hook)
    with pytest.raises(SystemExit) as ended:
        module.function()
    assert ended.value.code == 2 and capsys.readouterr().err == '\nscale: 3\n'


def test_no_run_is_active_before_its_module_is_loaded() -> None:
    code = 'import sys, mg_basicsr.host.patches.hooks as h; print(h.active(), "mg_basicsr.host.run" in sys.modules)'
    done = subprocess.run([sys.executable, '-c', code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ['None', 'False']


# What a repository lacks


@pytest.mark.parametrize('name', REQUIRED)
def test_a_required_method_is_an_error_with_a_run_alone(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = f'{FILE}: basicsr.models.base_model.BaseModel.{name} is missing'
    hooks.patch_models(base_model(lacking=name))
    without_block = options_file(tmp_path / 'stock.yml')
    assert start_run(parse_command_line(['-opt', str(without_block)])) is None
    with_block = options_file(tmp_path / 'planned.yml', 'multigrid: {preset: lin2022}\n')
    with pytest.raises(ConfigError, match=re.escape(expected)):  # basicsr was imported first
        start_run(parse_command_line(['-opt', str(with_block)]))

    monkeypatch.setattr(hooks, 'active', object)
    with pytest.raises(SystemExit) as ended:  # the run was started first
        hooks.patch_models(base_model(lacking=name))
    assert ended.value.code == 2 and expected in capsys.readouterr().err


def test_a_module_without_its_class_lacks_all_methods(run: object, capsys: pytest.CaptureFixture[str]) -> None:
    module = base_model()
    del module.BaseModel
    with pytest.raises(SystemExit):
        hooks.patch_models(module)
    assert all(f'BaseModel.{name} is missing' in capsys.readouterr().err for name in REQUIRED[:1])
    assert len(patching.missing()) == len(REQUIRED) + len(OPTIONAL)


@pytest.mark.parametrize('name', OPTIONAL)
def test_an_optional_method_is_listed_with_what_is_lost(
    name: str, run: object, caplog: pytest.LogCaptureFixture
) -> None:
    hooks.patch_models(base_model(lacking=name))
    (lacking,) = patching.missing()
    assert str(lacking).startswith(f'basicsr.models.base_model.BaseModel.{name}: missing in {FILE}: ') and lacking.lost
    with caplog.at_level(logging.INFO, 'basicsr'):
        hooks.log_patches()
    assert str(lacking) in caplog.text
    if name == 'get_current_log':
        assert lacking.lost == 'the log has no stage and shape'


def test_the_log_has_the_number_of_patches(caplog: pytest.LogCaptureFixture) -> None:
    hooks.patch_models(base_model())
    with caplog.at_level(logging.INFO, 'basicsr'):
        hooks.log_patches()
    count = len(patching.in_force())
    assert caplog.messages == [f'multigrid: {count} patches in force, `mg-basicsr check -v` lists them']


def test_a_model_that_passes_over_the_hook_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = base_model()
    hooks.patch_models(module)
    monkeypatch.setattr(hooks, 'active', lambda: SimpleNamespace(has_model=False))
    own = type('OwnModel', (module.BaseModel,), {'setup_schedulers': lambda self: None})()
    own.setup_schedulers()
    with pytest.raises(SystemExit) as ended:
        own.update_learning_rate(1)
    assert ended.value.code == 2 and 'OwnModel.setup_schedulers does not call' in capsys.readouterr().err


@pytest.mark.parametrize('names', [['CPUPrefetcher'], ['CUDAPrefetcher'], ['CPUPrefetcher', 'CUDAPrefetcher']])
def test_either_prefetcher_is_enough(names: list[str], run: object) -> None:
    hooks.patch_prefetchers(prefetchers(*names))
    assert patching.missing() == []


@pytest.mark.parametrize(('names', 'lacking'), [([], ''), (['CPUPrefetcher'], 'next')])
def test_a_prefetcher_is_required(
    names: list[str], lacking: str, run: object, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        hooks.patch_prefetchers(prefetchers(*names, lacking=lacking))
    assert ended.value.code == 2 and 'CPUPrefetcher.next is missing' in capsys.readouterr().err


def test_a_repository_that_lacks_a_method_ends_with_exit_code_2(tmp_path: Path) -> None:
    """By `import mg_basicsr`, with a basicsr of its own beside the script."""
    models = tmp_path / 'basicsr/models'
    models.mkdir(parents=True)
    for folder in (models.parent, models):
        (folder / '__init__.py').touch()
    (models / 'base_model.py').write_text('class BaseModel:\n    def update_learning_rate(self): pass\n')
    script = 'import mg_basicsr, yaml, basicsr.models.base_model\nyaml.load(open("x.yml"), yaml.SafeLoader)\n'
    (tmp_path / 'train.py').write_text(script)
    for block, code in (('', 0), ('multigrid: {preset: lin2022}\n', 2)):
        options_file(tmp_path / 'x.yml', block)
        command = [sys.executable, 'train.py', '-opt', 'x.yml']
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == code, done.stderr
        assert 'Traceback' not in done.stderr
    assert f'{models / "base_model.py"}: basicsr.models.base_model.BaseModel.setup_schedulers is missing' in done.stderr


# On BasicSR itself

UNDO = """
import sys, torch, torchvision.transforms, yaml
import torchvision.transforms.functional as functional
name = 'torchvision.transforms.functional_tensor'
sys.modules[name] = functional  # without the shim
import basicsr.train
del sys.modules[name]

ABSENT = object()
modules = [module for module in list(sys.modules.values()) if hasattr(module, '__dict__')]
classes = [thing for module in modules for thing in list(vars(module).values()) if isinstance(thing, type)]
before = {id(owner): dict(vars(owner)) for owner in (*modules, *classes)}
before[id(sys.modules)] = dict(sys.modules)

import mg_basicsr
from mg_basicsr.patching import in_force, missing, undo
patches = in_force()

def now(patch):
    owner = patch.owner()
    return (owner if isinstance(owner, dict) else vars(owner)).get(patch.name, ABSENT)

def then(patch):
    return before[id(patch.owner())].get(patch.name, ABSENT)

assert all(now(patch) is not then(patch) for patch in patches)
assert missing() == []
undo()
assert in_force() == []
assert all(now(patch) is then(patch) for patch in patches)
print(*sorted({patch.place for patch in patches}), sep='\\n')
"""


def test_every_patch_of_basicsr_is_taken_back(tmp_path: Path) -> None:
    pytest.importorskip('basicsr')
    done = subprocess.run([sys.executable, '-c', UNDO], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    places = done.stdout.splitlines()
    assert {f'basicsr.models.base_model.BaseModel.{name}' for name in (*REQUIRED, *OPTIONAL)} <= set(places)
    assert {'torch.load', 'torch.save', 'yaml.load', 'basicsr.archs.spynet_arch.SpyNet.process'} <= set(places)


# What the module says of itself


def test_the_train_loop_on_top_names_every_hook() -> None:
    """Names after the arrows are those of functions in the module, and the other way round."""
    assert hooks.__doc__ is not None
    named = set(re.findall(r'<- (?:planned_options\.)?(\w+)', hooks.__doc__))
    source = Path(hooks.__file__).read_text()
    attached = set(re.findall(r'@around\([^@]*?\)\n +def (\w+)\(', source))
    assert len(attached) > 10
    assert named == attached | {'patch_yaml', 'register'}


def test_a_prefetcher_of_validation_clips_keeps_its_loader(run: object) -> None:
    """Else it would get training clips, and the run would take its loader for the one that trains."""

    class CPUPrefetcher:
        def __init__(self, loader: Any) -> None:
            self.loader = iter(loader.batches)

        def reset(self) -> None: ...

        def next(self) -> Any:
            return next(self.loader, None)

    module = ModuleType('basicsr.data.prefetch_dataloader')
    module.CPUPrefetcher = CPUPrefetcher  # type: ignore[attr-defined]
    hooks.patch_prefetchers(module)
    loader = SimpleNamespace(batches=['first'], dataset=SimpleNamespace(opt={'phase': 'val'}))
    prefetcher = CPUPrefetcher(loader)
    prefetcher.reset()
    assert [prefetcher.next(), prefetcher.next()] == ['first', None]

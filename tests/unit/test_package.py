"""The public face: what `import mg_basicsr` loads, the names that it has, and that they do without BasicSR."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import mg_basicsr
from mg_basicsr.config.resolve import resolve
from mg_basicsr.errors import ConfigError
from mg_basicsr.host.install import PATCHES
from mg_basicsr.host.patches import compat
from mg_basicsr.parsing.options_file import load_options
from tests.helpers.frame_sets import block, write_reds
from tests.helpers.stock_options import stock

# before anything else: basicsr cannot be imported, as where it is not installed
WITHOUT_BASICSR = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] == 'basicsr':
            raise ModuleNotFoundError(f'No module named {name!r}', name=name)
sys.meta_path.insert(0, Blocked())
"""
LOADED = """
import sys
watched = ('mg_basicsr', 'torch', 'basicsr', 'numpy', 'yaml')
print(*sorted(name for name in sys.modules if name.partition('.')[0] in watched))
"""
PACKAGE_LINE = {
    *('mg_basicsr', 'mg_basicsr._version', 'mg_basicsr.host', 'mg_basicsr.host.install'),
    *('mg_basicsr.host.patches', 'mg_basicsr.host.patches.finders'),
}


def python(code: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, '-c', code, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def options_file(path: Path) -> Path:
    path.write_text(yaml.safe_dump(stock(block={'preset': 'lin2022'})))
    return path


def test_the_package_line_loads_next_to_nothing() -> None:
    loaded = set(python(f'import mg_basicsr\n{LOADED}').split())
    assert loaded == PACKAGE_LINE and len(loaded) < 15


def test_the_schedule_loads_itself_and_the_errors() -> None:
    loaded = set(python(f'import mg_basicsr.schedule\n{LOADED}').split())
    others = {name for name in loaded if not name.startswith('mg_basicsr.schedule')}
    assert 'mg_basicsr.schedule.plan' in loaded
    assert others == {*PACKAGE_LINE, 'mg_basicsr.errors'}


@pytest.mark.parametrize('order', ['import yaml, mg_basicsr', 'import mg_basicsr, yaml'])
def test_yaml_is_patched_when_both_are_there(order: str) -> None:
    code = f"""
import mg_basicsr.patching as patching
{order}
print(*(patch.place for patch in patching.in_force()))
"""
    assert python(code).split() == ['yaml.load']


def test_a_schedule_patches_nothing() -> None:
    code = """
import mg_basicsr.schedule, sys
print('mg_basicsr.patching' in sys.modules)
"""
    assert python(code).split() == ['False']


def test_every_function_that_patches_exists() -> None:
    """The table of `install` is text, so that nothing else would notice."""
    for _, function in PATCHES:
        module, _, name = function.partition(':')
        assert callable(getattr(importlib.import_module(module), name))
    assert {module for module, function in PATCHES if function.startswith(compat.__name__)} == set(compat.SHIMS)
    assert len(set(PATCHES)) == len(PATCHES)


def test_names_and_dir_agree() -> None:
    assert dir(mg_basicsr) == sorted(mg_basicsr.__all__)
    assert {'__version__', 'plan', 'MultigridSampler', 'SAMPLER_REGISTRY', 'build_store'} <= set(mg_basicsr.__all__)
    assert not hasattr(mg_basicsr, 'anything')


def test_every_name_but_the_registry_needs_no_basicsr() -> None:
    code = f"""
{WITHOUT_BASICSR}
import mg_basicsr
for name in mg_basicsr.__all__:
    if name != 'SAMPLER_REGISTRY':
        assert getattr(mg_basicsr, name) is getattr(mg_basicsr, name)
try:
    mg_basicsr.SAMPLER_REGISTRY
except ModuleNotFoundError as error:
    print(error.name)
"""
    assert python(code).strip() == 'basicsr'


def test_all_names_with_basicsr() -> None:
    pytest.importorskip('torchvision')
    pytest.importorskip('basicsr')
    assert all(getattr(mg_basicsr, name) is not None for name in mg_basicsr.__all__)
    assert mg_basicsr.SAMPLER_REGISTRY.get('MultigridSampler') is mg_basicsr.MultigridSampler


def test_plan_of_a_file(tmp_path: Path) -> None:
    path = options_file(tmp_path / 'x.yml')
    assert mg_basicsr.plan(path) == resolve(load_options(path)).plan
    assert mg_basicsr.plan(str(path), world_size=2).world_size == 2
    shorter = mg_basicsr.plan(path, force_yml=['train:total_iter=6000'])
    assert shorter.total_iter == 6000
    with pytest.raises(ConfigError, match='world_size: 0'):
        mg_basicsr.plan(path, 0)


def test_plan_needs_neither_torch_nor_basicsr(tmp_path: Path) -> None:
    code = f"""
{WITHOUT_BASICSR}
import mg_basicsr
print(mg_basicsr.plan(sys.argv[1])(0).shape.size)
print(*{{'torch', 'numpy'}} & set(sys.modules))
"""
    assert python(code, str(options_file(tmp_path / 'x.yml'))).split() == ['128']


def test_a_store_a_plan_and_a_sampler_in_plain_pytorch(tmp_path: Path) -> None:
    """Without BasicSR: built from folders, read in the shapes of the plan."""
    root = write_reds(tmp_path / 'set', {'000': 6, '001': 6, '002': 6})
    train_set = {**block(root, num_frame=6, gt_size=32), 'type': 'REDSRecurrentDataset', 'batch_size_per_gpu': 2}
    train_set['io_backend'] = {'type': 'store', 'path': str(tmp_path / 'store')}
    options = stock(block={'preset': 'lin2022', 'min_lq_size': 4, 'min_frames': 3}, changes={'num_gpu': 1})
    options['datasets']['train'] = train_set
    (tmp_path / 'x.yml').write_text(yaml.safe_dump(options))
    code = f"""
{WITHOUT_BASICSR}
import sys, yaml, mg_basicsr
from pathlib import Path
from torch.utils.data import DataLoader
root = Path(sys.argv[1])
clips = mg_basicsr.build_store(root / 'store', root / 'set/GT', root / 'set/LQ')
plan = mg_basicsr.plan(root / 'x.yml')
train_set = yaml.safe_load((root / 'x.yml').read_text())['datasets']['train']
dataset = mg_basicsr.MultigridREDSDataset(train_set)
for stage in plan.stages:
    sampler = mg_basicsr.MultigridSampler(plan, len(dataset), seed=0, start=stage.start)
    batch = next(iter(DataLoader(dataset, batch_sampler=sampler)))
    shape = stage.shape
    assert batch['gt'].shape == (shape.clips, shape.frames, 3, shape.size, shape.size), (batch['gt'].shape, shape)
print(len(clips), len(plan.stages))
"""
    assert python(code, str(tmp_path)).split() == ['3', '6']

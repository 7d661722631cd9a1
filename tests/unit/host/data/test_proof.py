"""Which classes ours take the place of: by source, or by their samples."""

from __future__ import annotations

import importlib
import random
from pathlib import Path
from typing import Any

import pytest
import torch

import mg_basicsr  # noqa: F401  # repairs an import of basicsr's
from mg_basicsr.data.datasets.reds import REDSRecurrent
from mg_basicsr.errors import ConfigError
from mg_basicsr.host.data import datasets
from mg_basicsr.host.data.adapter import AdaptedDataset
from mg_basicsr.host.data.origin import fingerprint, is_released
from mg_basicsr.host.data.planned_data import PlannedData, resolve_with_data
from mg_basicsr.host.data.proof import as_host, difference, sample_difference
from mg_basicsr.parsing.options_file import OptionsFile
from tests.helpers.frame_sets import block, write_reds
from tests.helpers.stock_options import stock

pytest.importorskip('basicsr')

CLASSES = {
    'reds': ('REDSDataset', 'REDSRecurrentDataset'),
    'vimeo90k': ('Vimeo90KDataset', 'Vimeo90KRecurrentDataset'),
    'paired_image': ('PairedImageDataset',),
}


def basicsrs(name: str) -> Any:
    module = next(module for module, names in CLASSES.items() if name in names)
    return getattr(importlib.import_module(f'basicsr.data.{module}_dataset'), name)


def copied(name: str, *changes: tuple[str, str]) -> Any:
    """The class of a copy of BasicSR's source, without a file; with some of its text changed."""
    module = importlib.import_module(basicsrs(name).__module__)
    source = Path(str(module.__file__)).read_text().replace('@DATASET_REGISTRY.register()', '')
    for old, new in changes:
        assert old in source
        source = source.replace(old, new)
    names: dict[str, Any] = {'__name__': 'theirs.data'}
    exec(compile(source, 'nowhere.py', 'exec'), names)
    return names[name]


@pytest.fixture(scope='module')
def reds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """BasicSR takes every clip to have 100 frames."""
    return write_reds(tmp_path_factory.mktemp('reds'), {'001': 100}, size=(40, 48))


def planned(root: Path, keys: dict[str, Any] | None = None, **changes: Any) -> PlannedData:
    options = stock(block={'preset': 'lin2022', 'min_lq_size': 1, **(keys or {})}, changes={'num_gpu': 1})
    options['datasets']['train'] |= block(root, **changes)
    return resolve_with_data(OptionsFile(Path('options.yml'), (), options), 1)


@pytest.mark.parametrize('name', [name for names in CLASSES.values() for name in names])
def test_released_classes_are_known_by_their_source(name: str) -> None:
    assert is_released(basicsrs(name))
    assert not is_released(copied(name))  # its source cannot be read


def test_a_class_that_is_changed_has_another_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    original = basicsrs('REDSRecurrentDataset')
    module = importlib.import_module(original.__module__)

    class REDSRecurrentDataset(original):  # type: ignore[misc, valid-type]
        pass

    assert is_released(REDSRecurrentDataset)
    REDSRecurrentDataset.__len__ = lambda self: 3  # type: ignore[method-assign]
    assert not is_released(REDSRecurrentDataset)

    before = fingerprint(original)
    crop = module.paired_random_crop

    def paired_random_crop(*args: Any) -> Any:
        return crop(*args)

    monkeypatch.setattr(module, 'paired_random_crop', paired_random_crop)  # a function that it calls
    assert fingerprint(original) != before
    monkeypatch.undo()
    assert fingerprint(original) == before
    monkeypatch.setattr(original, 'is_test', True, raising=False)
    assert fingerprint(original) != before


CHANGES = {
    'all frames twice': (('torch.stack(img_results[len(img_lqs) // 2:], dim=0)', 'torch.stack(img_results, dim=0)'),),
    'other crops': (("gt_size = self.opt['gt_size']", "gt_size = self.opt['gt_size'] // 2"),),
    'another key': (("'gt': img_gts, 'key': key}", "'gt': img_gts, 'key': key, 'folder': clip_name}"),),
    'another order of draws': (('interval = random.choice', 'random.random(); interval = random.choice'),),
    'flipped gt': (('img_gts = torch.stack', 'img_gts = -torch.stack'),),
    'half of the clips': (('return len(self.keys)', 'return len(self.keys) // 2'),),
    'noise now and then': (("return {'lq': img_lqs", "random.random(); return {'lq': img_lqs"),),
    "noise of NumPy's": (("return {'lq': img_lqs", "np.random.rand(); return {'lq': img_lqs"),),
    "noise of torch's": (("return {'lq': img_lqs", "torch.rand(1); return {'lq': img_lqs"),),
    'a generator of its own': (('self.opt = opt', 'self.opt, self.rng = opt, np.random.default_rng(0)'),),
    'a generator of its module': (('import torch', 'import torch\nRNG = random.Random(0)'),),
    'a count of samples': (("gt_size = self.opt['gt_size']", "gt_size = self.opt['gt_size']; self.n = index"),),
    'a failure': (('scale = self.opt', "scale = self.opt['nothing']; scale = self.opt"),),
}


def test_an_exact_copy_is_proven_by_its_samples(reds: Path) -> None:
    data = planned(reds, random_reverse=True)
    assert data.dataset is not None
    theirs = copied('REDSRecurrentDataset')(block(reds, random_reverse=True))
    before, state = vars(theirs).copy(), random.getstate()
    assert difference(theirs, data.dataset) is None
    assert vars(theirs) == before and random.getstate() == state  # read from a copy
    assert type(datasets.planned_dataset(theirs, data.dataset, data.settings)) is REDSRecurrent


@pytest.mark.parametrize('case', CHANGES)
def test_another_class_goes_through_the_adapter_with_a_reason(
    reds: Path, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(datasets.logger(), 'warning', lines.append)
    data = planned(reds)
    theirs = copied('REDSRecurrentDataset', *CHANGES[case])(block(reds))
    found = datasets.planned_dataset(theirs, data.dataset, data.settings)
    assert isinstance(found, AdaptedDataset) and found.base is theirs
    assert len(lines) == 1 and 'REDSRecurrentDataset of theirs.data is not' in lines[0]


@pytest.mark.parametrize('change', [lambda keys: keys[:50], lambda keys: keys[::-1]])
def test_a_dataset_that_was_changed_after_it_was_built(reds: Path, change: Any) -> None:
    data = planned(reds)
    theirs = basicsrs('REDSRecurrentDataset')(block(reds))
    theirs.keys = change(theirs.keys)
    found = datasets.planned_dataset(theirs, data.dataset, data.settings)
    assert isinstance(found, AdaptedDataset) and found.base is theirs


@pytest.mark.parametrize(('key', 'value'), [('temporal_stride', True)])
def test_what_only_ours_can_is_refused_for_another_class(reds: Path, key: str, value: Any) -> None:
    data = planned(reds, {key: value})
    theirs = copied('REDSRecurrentDataset', *CHANGES['another key'])(block(reds))
    with pytest.raises(ConfigError, match=rf'^multigrid\.{key}: true, .*folder(?s:.)*MultigridREDSDataset'):
        datasets.planned_dataset(theirs, data.dataset, data.settings)


def test_rules_for_the_adapter_beside_a_class_that_is_ours(reds: Path) -> None:
    data = planned(reds, {'adapter': {'time': ['flow'], 'start': 'random'}})
    with pytest.raises(ConfigError, match=r'^multigrid\.adapter: (?s:.)*base_type: REDSRecurrentDataset'):
        datasets.planned_dataset(basicsrs('REDSRecurrentDataset')(block(reds)), data.dataset, data.settings)
    theirs = copied('REDSRecurrentDataset', *CHANGES['another key'])(block(reds))
    found = datasets.planned_dataset(theirs, data.dataset, data.settings)
    assert isinstance(found, AdaptedDataset) and (found.rules.time, found.rules.start) == (('flow',), 'random')


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({}, None),
        ({'lq': torch.zeros(2, 3)}, None),
        ({'lq': torch.zeros(2, 4)}, r'lq is (2, 4) of torch.float32'),
        ({'lq': torch.zeros(2, 3, dtype=torch.float64)}, 'lq is (2, 3) of torch.float64'),
        ({'lq': torch.ones(2, 3)}, 'lq has other values'),
        ({'lq': [0]}, 'lq is a list'),
        ({'key': 'b'}, "key is 'b' instead of 'a'"),
        ({'more': 1}, 'keys'),
    ],
    ids=str,
)
def test_differences_of_samples(changes: dict[str, Any], said: str | None) -> None:
    expected = as_host({'lq': torch.zeros(2, 3, dtype=torch.uint8), 'key': 'a'})
    found = sample_difference({**expected, **changes}, expected)
    assert (found is None) if said is None else (found is not None and said in found)

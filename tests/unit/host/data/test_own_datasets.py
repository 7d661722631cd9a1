"""Classes of a repository's own under names of BasicSR's data sets: their options and files are none of ours."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

import mg_basicsr  # noqa: F401  # repairs an import of basicsr's
from mg_basicsr.errors import ConfigError, MultigridError
from mg_basicsr.host.data.adapter import AdaptedDataset
from mg_basicsr.host.data.origin import own_datasets
from mg_basicsr.host.data.planned_data import PlannedData, resolve_with_data
from mg_basicsr.host.data.whole_samples import check_frames
from mg_basicsr.parsing.options_file import OptionsFile
from tests.helpers.frame_sets import block, write_pair, write_reds
from tests.helpers.frame_sets import picture as frame
from tests.helpers.stock_options import stock

pytest.importorskip('basicsr')


class Own:
    """Class of a repository's own."""


class Registry(dict[str, type]):
    """BasicSR's registries, as far as they are asked."""


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    from basicsr.data.paired_image_dataset import PairedImageDataset
    from basicsr.data.reds_dataset import REDSRecurrentDataset

    module = ModuleType('basicsr.utils.registry')
    found = Registry(PairedImageDataset=PairedImageDataset, REDSRecurrentDataset=REDSRecurrentDataset)
    module.DATASET_REGISTRY = module.MODEL_REGISTRY = found  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, 'basicsr.utils.registry', module)
    return found


@pytest.fixture(scope='module')
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp('images')
    write_pair(root, '0.png', frame(0, 0))
    return root


def planned(root: Path, keys: dict[str, Any] | None = None, **changes: Any) -> PlannedData:
    options = stock(block={'preset': 'lin2022', 'min_lq_size': 1, **(keys or {})}, changes={'num_gpu': 1})
    train_set = {**block(root, type='PairedImageDataset', meta_info_file=None), **changes}
    options['datasets']['train'] |= {key: value for key, value in train_set.items() if value is not ...}
    for key in [key for key, value in train_set.items() if value is ...]:
        options['datasets']['train'].pop(key, None)
    return resolve_with_data(OptionsFile(Path('options.yml'), (), options), 1)


# what public repositories give to their own PairedImageDataset
OWN_OPTIONS: list[dict[str, Any]] = [
    {'use_hflip': ..., 'use_flip': True},
    {'use_hflip': ..., 'use_rot': ..., 'geometric_augs': True},
    {'io_backend': {'type': 'hdf5'}},
    {'io_backend': ...},
    {'dataroot_gt': ['a', 'b'], 'dataroot_lq': ['c', 'd']},
    {'dataroot_gt': ..., 'dataroot_lq': ..., 'folder': 'nowhere'},
    {'dataroot_gt': 'nowhere', 'dataroot_lq': 'nowhere'},
    {'filename_tmpl': ['{}x4']},
    {'meta_info_file': 'nowhere.txt'},
]


@pytest.mark.parametrize('changes', OWN_OPTIONS)
def test_its_options_and_files_are_not_checked(registry: Registry, images: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(MultigridError):
        planned(images, **changes)  # of BasicSR's class
    registry['PairedImageDataset'] = Own
    assert planned(images, **changes).dataset is None


def test_a_plan_alone_goes_by_the_name_and_says_so(images: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        planned(images, use_hflip=..., use_flip=True)
    (problem,) = caught.value.problems
    assert problem.option == 'datasets.train.use_hflip'
    assert '`run` and `check --script`' in problem.remedy and 'PairedImageDataset' in problem.remedy


@pytest.mark.parametrize('changes', [{'gt_size': ...}, {'gt_size': 15}, {'gt_size': '16'}])
def test_what_a_plan_needs_is_checked(registry: Registry, images: Path, changes: dict[str, Any]) -> None:
    registry['PairedImageDataset'] = Own
    with pytest.raises(ConfigError, match=r'datasets\.train\.gt_size'):
        planned(images, **changes)


def test_a_store_is_asked_of_a_class_that_reads_one(registry: Registry, images: Path) -> None:
    registry['PairedImageDataset'] = Own
    with pytest.raises(ConfigError, match=r'multigrid\.store'):
        planned(images, {'store': 'nowhere'}, use_hflip=..., use_flip=True)
    with pytest.raises(MultigridError, match='nowhere'):
        planned(images, {'store': 'nowhere'})


def test_a_copy_whose_options_fit_is_prepared(registry: Registry, images: Path) -> None:
    """It is compared sample by sample when it is there."""
    registry['PairedImageDataset'] = Own
    assert planned(images).dataset is not None


def test_validation_sets_of_own_classes(registry: Registry, tmp_path: Path) -> None:
    root = write_reds(tmp_path, {'001': 9})
    options = stock(block={'preset': 'lin2022', 'min_lq_size': 1}, changes={'num_gpu': 1})
    options['datasets']['train'] |= block(root)
    options['datasets']['val'] = {'name': 'val', 'type': 'PairedImageDataset', 'dataroot_gt': 'no', 'dataroot_lq': 'no'}
    file = OptionsFile(Path('options.yml'), (), options)
    with pytest.raises(ConfigError, match=r'datasets\.val\.dataroot_gt'):
        resolve_with_data(file, 1)
    registry['PairedImageDataset'] = Own
    assert resolve_with_data(file, 1).dataset is not None


def test_which_classes_are_the_repositorys(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    assert own_datasets() == set()
    registry['REDSDataset_basicsr'] = Own  # as BasicSR's registry also finds a name
    registry['Vimeo90KDataset'] = lambda opt: None  # type: ignore[assignment]  # of a function nothing is known
    assert own_datasets() == {'REDSDataset'}
    monkeypatch.delitem(sys.modules, 'basicsr.utils.registry')
    monkeypatch.setitem(sys.modules, 'basicsr.data', data := ModuleType('basicsr.data'))
    assert own_datasets() == set()
    data._dataset_modules = [ModuleType('a'), module := ModuleType('b')]  # type: ignore[attr-defined]  # up to 1.2
    module.REDSDataset = Own  # type: ignore[attr-defined]
    assert own_datasets() == {'REDSDataset'}


class Clips:
    """Data set of clips of a length that its options do not say."""

    def __init__(self, frames: int) -> None:
        self.opt: dict[str, Any] = {}
        self.frames = frames

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> dict[str, Any]:
        if not self.frames:
            raise OSError('damaged')
        return {'lq': torch.zeros(self.frames, 3, 4, 4), 'gt': torch.zeros(self.frames, 3, 8, 8)}


@pytest.fixture(params=[7, 3, 0])
def fitting(request: pytest.FixtureRequest) -> Iterator[Clips]:
    yield Clips(request.param)


def test_samples_that_a_plan_covers(fitting: Clips) -> None:
    state = torch.get_rng_state()
    check_frames(AdaptedDataset(fitting, 2), 7)  # shorter and damaged ones are reported when they are read
    assert torch.equal(torch.get_rng_state(), state)


def test_samples_that_a_plan_would_cut_in_every_stage() -> None:
    with pytest.raises(ConfigError) as caught:
        check_frames(AdaptedDataset(Clips(14), 2), 7)
    (problem,) = caught.value.problems
    assert 'Clips have 14 frames' in problem.what and 'adapter: {frames: 14}' in problem.remedy

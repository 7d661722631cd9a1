"""The training set that a store is made from, and what a store says of it."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from mg_basicsr.config.resolve import resolve
from mg_basicsr.data.crops.degradation import bd
from mg_basicsr.data.store.building.build import begin
from mg_basicsr.data.store.format import Header
from mg_basicsr.errors import ConfigError
from mg_basicsr.host.store_inputs import StoreSet, degradation, stored_degradation, training_set
from mg_basicsr.parsing.options_file import OptionsFile
from tests.helpers.stock_options import stock

STORE = {'type': 'store', 'path': 'from_backend'}


def file(kind: str = 'reds', block: dict[str, Any] | None = None, **train_set: Any) -> OptionsFile:
    options = stock(kind, block)
    options['datasets']['train'] |= train_set
    return OptionsFile(Path('x.yml'), (), options)


def of(kind: str = 'reds', block: dict[str, Any] | None = None, **train_set: Any) -> StoreSet:
    return training_set(file(kind, block, **train_set))


@pytest.mark.parametrize(('kind', 'layout'), [('reds', 'reds'), ('edvr', 'reds'), ('vimeo', 'vimeo')])
def test_layouts(kind: str, layout: str) -> None:
    assert of(kind).kind.layout == layout


@pytest.mark.parametrize(
    ('block', 'changes', 'store'),
    [
        (None, {}, None),
        (None, {'io_backend': STORE}, 'from_backend'),
        ({'preset': 'lin2022'}, {'io_backend': STORE}, 'from_backend'),
        ({'preset': 'lin2022', 'store': 'from_block'}, {}, 'from_block'),
        ({'preset': 'lin2022', 'store': 'from_block'}, {'io_backend': STORE}, 'from_block'),
    ],
)
def test_the_store_that_the_file_names(block: dict[str, Any] | None, changes: dict[str, Any], store: str) -> None:
    assert of(block=block, **changes).store == store


@pytest.mark.parametrize(('root', 'backend'), [('GT', 'disk'), ('GT.lmdb', 'lmdb')])
def test_a_store_is_not_made_from_itself(root: str, backend: str) -> None:
    options = of(io_backend=STORE, dataroot_gt=root).options
    assert (options.backend, options.store) == (backend, None)


@pytest.mark.parametrize(
    ('changes', 'option'),
    [
        ({'type': 'TheirDataset'}, 'datasets.train.type'),
        ({'type': 'PairedImageDataset', 'mean': [0.5]}, 'datasets.train.type'),
        ({'gt_size': 256.0}, 'datasets.train.gt_size'),
    ],
)
def test_sets_that_a_store_cannot_serve(changes: dict[str, Any], option: str) -> None:
    for block in (None, {'preset': 'lin2022'}):
        with pytest.raises(ConfigError) as error:
            of(block=block, **changes)
        assert [problem.option for problem in error.value.problems] == [option]


def test_a_file_with_a_block_is_read_as_a_whole() -> None:
    with pytest.raises(ConfigError, match=r'^multigrid\.presett'):
        of(block={'preset': 'lin2022', 'presett': 1})


def test_degradations() -> None:
    assert degradation('files', 4) is None
    assert degradation('bd', 4) is bd
    with pytest.raises(ConfigError, match='bd is not defined for scale 2'):
        degradation('bd', 2)
    pickle.dumps(degradation('bd', 4))  # it is sent to other processes


@pytest.mark.parametrize(('made', 'expected'), [('files', None), ('bd', 'bd')])
def test_what_a_store_says_of_its_degradation(tmp_path: Path, made: str, expected: str | None) -> None:
    begin(tmp_path / 'store', Header(4, degradation=made))
    for block, changes in (
        ({'store': str(tmp_path / 'store')}, {}),
        ({}, {'io_backend': {'type': 'store', 'path': str(tmp_path / 'store')}}),
    ):
        settings = resolve(file(block={'preset': 'wu2020', **block}, **changes))
        assert stored_degradation(settings) == expected
    assert stored_degradation(resolve(file(block={'preset': 'wu2020', 'store': str(tmp_path / 'none')}))) is None
    assert stored_degradation(resolve(file(block={'preset': 'wu2020'}))) is None

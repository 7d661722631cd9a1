"""Which dataset serves which type, and that a new type is one line of the table."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mg_basicsr import dataset_types
from mg_basicsr.data.datasets.images import PairedImage
from mg_basicsr.data.datasets.reds import REDS, REDSRecurrent
from mg_basicsr.data.datasets.vimeo import Vimeo90K, Vimeo90KRecurrent
from mg_basicsr.errors import ConfigError
from mg_basicsr.host.data.datasets import MultigridREDSDataset, MultigridVimeo90KDataset, our_dataset
from mg_basicsr.train_set import train_set_of
from tests.helpers.frame_sets import SCALE, block, write_pair, write_reds, write_vimeo
from tests.helpers.frame_sets import picture as frame


@pytest.fixture(scope='module')
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp('sets')
    write_pair(root / 'images', '0.png', frame(0, 0))
    return {
        'reds': write_reds(root / 'reds', {'001': 9}),
        'vimeo': write_vimeo(root / 'vimeo', ['00001/0001']),
        'images': root / 'images',
    }


def made(root: Path, **changes: Any) -> Any:
    return our_dataset(train_set_of({'scale': SCALE, 'datasets': {'train': block(root, **changes)}}))


@pytest.mark.parametrize(
    ('layout', 'changes', 'expected'),
    [
        ('reds', {'type': 'REDSRecurrentDataset'}, REDSRecurrent),
        ('reds', {'type': 'REDSDataset'}, REDS),
        ('reds', {'type': 'MultigridREDSDataset'}, REDSRecurrent),
        ('reds', {'type': 'MultigridREDSDataset', 'recurrent': False}, REDS),
        ('reds', {'type': 'REDSRecurrentDataset', 'recurrent': False}, REDSRecurrent),  # BasicSR has no such key
        ('vimeo', {'type': 'Vimeo90KRecurrentDataset'}, Vimeo90KRecurrent),
        ('vimeo', {'type': 'Vimeo90KDataset'}, Vimeo90K),
        ('vimeo', {'type': 'MultigridVimeo90KDataset'}, Vimeo90KRecurrent),
        ('vimeo', {'type': 'MultigridVimeo90KDataset', 'recurrent': False}, Vimeo90K),
        ('images', {'type': 'PairedImageDataset', 'meta_info_file': None}, PairedImage),
        ('images', {'type': 'PairedImageDataset', 'meta_info_file': None, 'mean': [0.5]}, type(None)),
        ('reds', {'type': 'MultigridDataset', 'base_type': 'REDSRecurrentDataset'}, type(None)),
        ('reds', {'type': 'TheirDataset'}, type(None)),
    ],
)
def test_types(roots: dict[str, Path], layout: str, changes: dict[str, Any], expected: type) -> None:
    assert type(made(roots[layout], **changes)) is expected


def test_registered_names_are_called_as_basicsr_does(roots: dict[str, Path]) -> None:
    """With the section alone: `type` is the name that was looked up, `scale` has been added."""
    options = block(roots['reds'])
    dataset = MultigridREDSDataset(options)
    assert type(dataset) is REDSRecurrent and dataset.opt is options  # type: ignore[attr-defined]
    assert type(MultigridVimeo90KDataset(block(roots['vimeo'], recurrent=False))) is Vimeo90K
    with pytest.raises(ConfigError, match=r'datasets\.train\.gt_size: 16\.0'):
        MultigridREDSDataset({**options, 'gt_size': 16.0})


def test_a_new_type_is_one_file_and_one_line(roots: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    class Toy(REDSRecurrent):
        """Clips that are never played backwards."""

    monkeypatch.setitem(sys.modules, 'toy', module := ModuleType('toy'))  # the file
    module.Toy = Toy  # type: ignore[attr-defined]
    line = {'ToyDataset': dataset_types.DatasetType('reds', 'toy:Toy')}
    monkeypatch.setattr('mg_basicsr.train_set.TYPES', {**dataset_types.TYPES, **line})
    assert type(made(roots['reds'], type='ToyDataset')) is Toy

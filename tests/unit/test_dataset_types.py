"""The table of dataset types and of degradations."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from mg_basicsr.data.datasets.clip_dataset import ClipDataset
from mg_basicsr.dataset_types import DEGRADATIONS, IMAGES, TYPES, WINDOWED, DatasetType, converts, exists_for

KINDS = sorted({*TYPES.values(), *WINDOWED.values()}, key=lambda kind: kind.dataset)


@pytest.mark.parametrize('kind', KINDS, ids=lambda kind: kind.dataset.partition(':')[2])
def test_each_type_names_a_dataset_of_ours(kind: DatasetType) -> None:
    module, _, name = kind.dataset.partition(':')
    assert issubclass(getattr(import_module(module), name), ClipDataset)


def test_our_names_have_both_forms() -> None:
    assert set(WINDOWED) == {name for name in TYPES if name.startswith('Multigrid')}
    for name, windowed in WINDOWED.items():
        assert windowed.sliding_window and not TYPES[name].sliding_window
        assert windowed.layout == TYPES[name].layout


def test_basicsrs_names_and_ours_stand_for_the_same() -> None:
    for ours, recurrent, windows in (
        ('MultigridREDSDataset', 'REDSRecurrentDataset', 'REDSDataset'),
        ('MultigridVimeo90KDataset', 'Vimeo90KRecurrentDataset', 'Vimeo90KDataset'),
    ):
        assert (TYPES[ours], WINDOWED[ours]) == (TYPES[recurrent], TYPES[windows])
    assert TYPES['PairedImageDataset'] is IMAGES


@pytest.mark.parametrize(('scale', 'expected'), [(1, ['bicubic']), (3, ['bicubic']), (4, ['bicubic', 'bd'])])
def test_scales_of_degradations(scale: int, expected: list[str]) -> None:
    assert [name for name in DEGRADATIONS if exists_for(name, scale)] == expected


def test_conversions_of_images() -> None:
    assert converts({'mean': [0.5]}) and converts({'color': 'y'})
    assert not converts({'mean': None, 'gt_size': 64})


def test_the_table_needs_no_torch() -> None:
    program = 'import sys, mg_basicsr.dataset_types, mg_basicsr.train_set; sys.exit("torch" in sys.modules)'
    assert subprocess.run([sys.executable, '-c', program], timeout=60).returncode == 0

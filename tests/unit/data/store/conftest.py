"""Stores that many tests only read, made once from the sets of the folder above."""

from __future__ import annotations

from pathlib import Path

import pytest

from mg_basicsr.data.store.building import writer
from mg_basicsr.data.store.building.build import build
from mg_basicsr.data.store.building.inputs import from_options
from mg_basicsr.data.store.format import Header
from mg_basicsr.train_set import TrainSetOptions
from tests.helpers.store_sets import MakeStore

TILED = 20  # edge of tiles in the tests: frames of 48x64 then have edge tiles on both axes
HEADERS = {'raw': lambda scale: Header(scale), 'zstd': lambda scale: Header(scale, 'zstd', 4)}


@pytest.fixture(scope='session')
def make_store(tmp_path_factory: pytest.TempPathFactory) -> MakeStore:
    """Builds a store of a set's options: tiled, or (`whole`) one tile per frame."""

    def make(options: TrainSetOptions, layout: str, codec: str, whole: bool = False) -> Path:
        root = tmp_path_factory.mktemp('store')
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(writer, 'RAW_TILES', (TILED, TILED // 2))
            patch.setattr(writer, 'COMPRESSED_TILES', (TILED, TILED // 2))
            if not whole:
                patch.setattr(writer, 'WHOLE_PIXELS', 0)
            patch.setattr(writer, 'CHUNK_BYTES', 60_000)  # several chunks per clip
            build(root, HEADERS[codec](options.scale), from_options(options, layout, None))
        return root

    return make

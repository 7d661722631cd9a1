"""Opening of a store in place of the folders or LMDBs of a training set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from mg_basicsr.data.listing.frame_names import REDS_FRAMES
from mg_basicsr.data.listing.sequences import FrameSequence, first_of
from mg_basicsr.data.sources.flow_files import FlowFiles
from mg_basicsr.data.sources.image_files import open_side
from mg_basicsr.data.store.reader import StoreFrames
from mg_basicsr.data.store.root_comparison import differences_of_roots
from mg_basicsr.errors import ConfigError, Problem
from mg_basicsr.train_set import TrainSetOptions

COMPARED = 20  # clips, when a store is opened for training


def differences(store: StoreFrames, options: TrainSetOptions, sequences: Sequence[FrameSequence]) -> list[Problem]:
    """Compare some clips of a store with the roots that a training set names; nothing if these do not exist.

    Args:
        store: The store.
        options: The set's options.
        sequences: Sequences of the set.

    Returns:
        A problem for each of the first clips that were made from other frames, to be reported as warnings.
    """
    step = max(1, -(-len(sequences) // COMPARED))
    names = [sequences[at].name for at in range(0, len(sequences), step)]
    return first_of(differences_of_roots(store, options, names), 'of this kind')


def open_store(path: str | Path, options: TrainSetOptions, sequences: Iterable[FrameSequence] = ()) -> StoreFrames:
    """Open a store and check it against the training set that will be read from it.

    Args:
        path: Folder of the store.
        options: The set's options. Flow is not in stores, and read from the folder or LMDB that they name.
        sequences: Sequences of the set, if known already; see `StoreFrames.check`.

    Raises:
        ConfigError: the store has another scale.
        DataError: the store is missing or damaged, or lacks some of these sequences.
    """
    flows = None
    if options.dataroot_flow:
        flows = FlowFiles(open_side(options, 'dataroot_flow', '.png'), REDS_FRAMES, options.scale)
    store = StoreFrames(path, flows)
    if store.header.scale != options.scale:
        raise ConfigError(
            Problem(
                'scale',
                f'{options.scale}, but the store {path} has scale {store.header.scale}',
                f'allowed: {store.header.scale}',
                'correct it, or prepare a store of this scale in another folder',
            )
        )
    store.check(sequences)
    return store

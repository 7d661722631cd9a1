"""Dataset of all clips of a crop store, for training without an options file."""

from __future__ import annotations

from pathlib import Path

from mg_basicsr.data.datasets.reds import REDSRecurrent
from mg_basicsr.data.store.reader import StoreFrames
from mg_basicsr.errors import DataError, Problem
from mg_basicsr.train_set import TrainSetOptions


def store_clips(
    path: str | Path,
    *,
    frames: int,
    gt_size: int,
    interval_list: tuple[int, ...] = (1,),
    random_reverse: bool = False,
    use_hflip: bool = True,
    use_rot: bool = True,
) -> REDSRecurrent:
    """Open a store as a dataset of clips with GT for every frame.

    Every frame of the store is a key: the first frame of a clip. Other frames and crop sizes than the full ones given
    here are asked for by requests, as `MultigridSampler` makes them.

    Args:
        path: Folder of the store.
        frames: Frames of a full-size clip, >= 1.
        gt_size: Edge of the full-size GT crop in pixels, a multiple of the store's scale.
        interval_list: Steps between neighbouring frames, of which each clip draws one, each >= 1.
        random_reverse: Reverse a clip with probability 1/2.
        use_hflip: Flip left to right with probability 1/2.
        use_rot: Flip top to bottom and transpose, each with probability 1/2.

    Raises:
        ConfigError: `gt_size` is not a multiple of the scale.
        DataError: the store is missing, damaged or empty, or has clips that are too short, too small, or without the GT
            of some frames.
    """
    store = StoreFrames(path)
    sequences = [clip.sequence for clip in store.clips]
    if not sequences:
        what = 'no clip is listed in the store'
        raise DataError(Problem(str(path), what, 'needed: at least one clip', 'run `mg-basicsr prepare` to make clips'))
    how = store.header.degradation
    options = TrainSetOptions(
        dataroot_gt=str(path),
        dataroot_lq=str(path),
        gt_size=gt_size,
        scale=store.header.scale,
        use_hflip=use_hflip,
        use_rot=use_rot,
        backend='store',
        store=str(path),
        num_frame=frames,
        interval_list=interval_list,
        random_reverse=random_reverse,
        degradation=None if how == 'files' else how,
    )
    store.check(sequences)  # their GT: some clips may have that of some frames alone
    dataset = REDSRecurrent(options, store, sequences)
    dataset.check(frames, gt_size)
    return dataset

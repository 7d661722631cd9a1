"""Training data is checked against the shapes of the plan before the host writes anything."""

from __future__ import annotations

from mg_basicsr.config.resolve import Settings
from mg_basicsr.data.datasets.clip_dataset import ClipDataset

CHECKED_SEQUENCES = 300  # all of REDS; of Vimeo-90K's 64,612 a sample


def check_data(dataset: ClipDataset, settings: Settings, sequences: int = CHECKED_SEQUENCES) -> None:
    """Check every distinct shape of the plan against all sequences, and the presence of frames.

    Args:
        dataset: The training set.
        settings: The run's.
        sequences: Most sequences whose frames are looked for.

    Raises:
        ConfigError, DataError: with what does not fit or is missing.
    """
    shapes = {(shape.frames, shape.size) for stage in settings.plan.stages for shape in stage.spec.shapes}
    for frames, size in sorted(shapes, reverse=True):
        dataset.check(frames, size)
    dataset.check_files(sequences, tolerant=settings.block.on_bad_frame == 'skip_clip')

"""What is checked before the host writes anything: the data set is opened, and every planned shape fits its clips."""

from __future__ import annotations

from mg_basicsr.config.build import Settings
from mg_basicsr.data.clips import ClipDataset

CHECKED_SEQUENCES = 300  # all of REDS; of Vimeo-90K's 64,612 a sample


def check_data(dataset: ClipDataset, settings: Settings) -> None:
    """Checks every distinct shape of the plan against all sequences, and the presence of frames.

    Raises:
        ConfigError, DataError: with what does not fit or is missing.
    """
    shapes = {(shape.frames, shape.size) for stage in settings.plan.stages for shape in stage.spec.shapes}
    for frames, size in sorted(shapes, reverse=True):
        dataset.check(frames, size)
    dataset.check_files(CHECKED_SEQUENCES, tolerant=settings.block.on_bad_frame == 'skip_clip')

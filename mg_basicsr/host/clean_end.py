"""Extension: an error that the user can fix ends the process without a traceback."""

from __future__ import annotations

from mg_basicsr.errors import ending_cleanly
from mg_basicsr.training.extension import Extension, TrainStep


class CleanEnd(Extension):
    """End the process with exit code 2 at a MultigridError: the train loop does not know this package's exceptions."""

    name = 'clean_end'

    def around(self, call: TrainStep) -> TrainStep:
        return ending_cleanly(call)

"""Extension that ends the process without a traceback at an error that the user can fix."""

from __future__ import annotations

from mg_basicsr.errors import ending_cleanly
from mg_basicsr.training.extension import Extension, TrainStep


class CleanEnd(Extension):
    """Extension that ends the process with exit code 2 at a MultigridError, which no train loop would catch."""

    name = 'clean_end'

    def around(self, call: TrainStep) -> TrainStep:
        """Return the training step with `errors.ending_cleanly` around it."""
        return ending_cleanly(call)

"""What a training makes the host read from the device, and copy to it from main memory: counted by iteration.

Without a GPU everything is in main memory, and each read of a number is one that would wait for a device, but for those
of optimisers, which keep their counts in main memory on every machine.
"""

from __future__ import annotations

import atexit
import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

READS = ('_local_scalar_dense', 'nonzero', 'is_nonzero', 'equal', 'masked_select', '_unique2', 'unique_consecutive')

# at the top of a script, with the name of the file that takes the counts
COUNTED = 'from tests.helpers.waits import count_until_exit\ncount_until_exit({!r})\n'


class Waits(TorchDispatchMode):
    """Counts reads of numbers, and copies between devices, by what `when` returns, and by operation and place.

    Args:
        when: Returns a key for what is counted now.
    """

    def __init__(self, when: Callable[[], int] = lambda: 0) -> None:
        super().__init__()
        self.when = when
        self.found: dict[int, Counter[str]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func._schema.name.partition('::')[2]
        if name in READS or (name in ('_to_copy', 'copy_') and args[name == 'copy_'].device != result.device):
            place = _place()
            if place:
                self.found.setdefault(self.when(), Counter())[f'{name} in {place}'] += 1
        return result


def _place() -> str:
    """The nearest place outside of torch; '' within an optimiser's step."""
    frame: FrameType | None = sys._getframe(2)
    nearest = ''
    while frame is not None:
        file, name = frame.f_code.co_filename, frame.f_code.co_name
        if '/torch/optim/' in file:
            return ''
        if not nearest and '/torch/' not in file:
            nearest = f'{Path(file).name} {name}'
        frame = frame.f_back
    return nearest


def count_until_exit(path: str) -> None:
    """Count from now on, by 1-based iteration, and write the counts to a file at the end of the process."""
    from mg_basicsr.host.run import active_run

    def iteration() -> int:
        run = active_run()
        return run.iteration if run is not None else 0

    waits = Waits(iteration)
    waits.__enter__()
    atexit.register(lambda: Path(path).write_text(json.dumps(waits.found)))

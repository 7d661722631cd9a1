"""Agreement of the ranks on an error, so that all end when one fails."""

from __future__ import annotations

import torch

from mg_basicsr.errors import MultigridError, Problem, TrainingError
from mg_basicsr.host.run import Run


def agree(run: Run, error: MultigridError | None) -> None:
    """End every rank if one has failed: the others would wait for it.

    Args:
        run: The run.
        error: Error of this rank; None if it has none.

    Raises:
        MultigridError: this rank's error, or one that names the rank that has failed.
    """
    if run.plan.world_size > 1 and torch.distributed.is_initialized():
        told: list[str | None] = [None] * run.plan.world_size
        torch.distributed.all_gather_object(told, str(error) if error else None)
        failed = next((rank for rank, text in enumerate(told) if text), None)
        if error is None and failed is not None:
            error = TrainingError(Problem(f'rank {failed}', 'cannot train: see its message'))
    if error is not None:
        raise error

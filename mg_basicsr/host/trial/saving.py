"""Trial of a save and a load: networks and training state, in a folder of the trial, by the host's own methods."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from mg_basicsr.errors import Problem
from mg_basicsr.host.trial.blame import HOST_ERRORS, problems_of
from mg_basicsr.patching import replaced

ITERATION = 1


def try_saving(model: Any, options: Mapping[str, Any]) -> list[Problem]:
    """Save the model and resume from what was saved.

    Args:
        model: The host's model, which is changed.
        options: The host's options, in which the paths are those of the trial.

    Returns:
        The problems; none if the host can save and load.
    """
    told: list[str] = []
    disk_failed: list[bool] = []  # which says nothing about the model; a run reports it when it saves

    def note(logger: logging.Logger, message: object, *args: object, **kwargs: object) -> None:
        told.append(str(message))
        disk_failed.append(isinstance(sys.exc_info()[1], OSError))

    state = Path(options['path']['training_states'], f'{ITERATION}.state')
    try:
        with replaced(logging.Logger, 'error', note):  # a failed save is logged as an error, and does not end a run
            model.save(0, ITERATION)
    except OSError:
        return []
    except HOST_ERRORS as error:  # of any kind: it is the host's own code
        return problems_of(error, options, 'model_type', 'save the model')
    if any(disk_failed):
        return []
    if told:
        reason = told[0].removeprefix('multigrid: ').replace(str(state.parent.parent), 'a folder on trial')
        return [Problem('model_type', f'the model cannot be saved: {reason}', '', 'correct it: nothing would be saved')]
    if not state.exists():
        return []  # the repository saves in a way of its own
    try:
        model.resume_training(torch.load(state, map_location='cpu'))
    except HOST_ERRORS as error:  # of any kind: it is the host's own code
        return problems_of(error, options, 'model_type', 'resume from a checkpoint of this model')
    return []

"""Loading of untrusted files: tensors, numbers and text are read, nothing is executed.

A pickle can call any function while it is read. `torch.load(weights_only=True)` reads the usual content of a checkpoint
and stops at anything else; the error raised here also names the file and the function that it would have called.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from mg_basicsr.errors import Problem, TrainingError
from mg_basicsr.training.checkpoints.file_kinds import COPY, FOLDER, kind_of, special_kind


class DamagedError(Exception):
    """Error for a file that cannot be read as a checkpoint. Its message is the reason, in a few words.

    Args:
        reason: The message.
        remedy: What the user can do; kept as an attribute.
    """

    def __init__(self, reason: str, remedy: str = COPY) -> None:
        super().__init__(reason)
        self.remedy = remedy


def load_safely(file: Any, read: Callable[[], Any]) -> Any:
    """Return the content of a file, with errors that say what is wrong with it.

    Args:
        file: A path, or a file object; named in messages.
        read: Call of torch.load for this file, with `weights_only=True`.

    Raises:
        TrainingError: loading the file would run code.
        DamagedError: the file is not a checkpoint, or only a part of one.
        OSError: the file cannot be opened.
    """
    path = Path(file) if isinstance(file, (str, os.PathLike)) else None
    if path is not None:
        refuse_special(path)
    try:
        return read()
    except OSError:
        raise
    except Exception as error:  # of damaged files: of nearly every kind
        kind = kind_of(path) if path is not None else None
        if kind is not None:  # torch's own reasons would mislead: it takes any text for a pickle that runs code
            raise DamagedError(f'it is {kind.name}', kind.remedy) from None
        wanted = wants(error)
        if wanted is None:
            raise DamagedError(_first_line(error)) from None
        raise TrainingError(
            Problem(
                name_of(file),
                f'not loaded, since it would run code: it wants {wanted}',
                'allowed: tensors, numbers, text, lists and dictionaries (torch.load with weights_only=True)',
                'if you trust it, load it by hand with weights_only=False and save only its tensors',
            )
        ) from None


def refuse_special(path: Path) -> None:
    """Check that a path names a regular file.

    Raises:
        DamagedError: It is a pipe, a socket or a device.
        IsADirectoryError: It is a folder.
        OSError: It does not exist.
    """
    kind = special_kind(path)
    if kind == FOLDER:
        raise IsADirectoryError(21, 'Is a directory', str(path))
    if kind is not None:
        raise DamagedError(f'it is {kind.name}', kind.remedy)


def wants(error: BaseException) -> str | None:
    """Return the function or class that a refused pickle asked for, from torch's message; None for other errors."""
    if not isinstance(error, UnpicklingError):
        return None
    text = str(error)
    found = re.search(r'GLOBAL (\S+)|class (\S+) is not allowed|Unsupported class (\S+)', text)
    if found:
        return next(name for name in found.groups() if name)
    return 'objects of other types' if 'Unsupported operand' in text or 'not allowed' in text else None


def name_of(file: Any) -> str:
    """Return the path of a file, if it is known; otherwise 'a checkpoint'."""
    return str(file) if isinstance(file, (str, os.PathLike)) else str(getattr(file, 'name', 'a checkpoint'))


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__

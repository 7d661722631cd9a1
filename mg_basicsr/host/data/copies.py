"""Copies of a dataset, which share what reading a sample does not change, or what is too large to have twice."""

from __future__ import annotations

import io
import pickle
import weakref
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import torch

_SHARED = (FunctionType, type, ModuleType, weakref.ref)
_LARGE = 2**16  # bytes of an array from which on it is shared


class Copies:
    """Maker of copies of an object in its present state. Its parts are visited once, whatever the number of copies.

    Shared are functions, classes, modules and large arrays: a dataset may hold all of its images.

    Args:
        value: The object.

    Raises:
        Exception: of any type: something that it holds cannot be copied, such as an open file, a lock or a generator.
    """

    def __init__(self, value: Any) -> None:
        self._shared: dict[int, Any] = {}
        file = io.BytesIO()
        _Writer(file, self._shared).dump(value)
        self._written = file.getvalue()
        self.make()  # what can be written cannot always be read

    def make(self) -> Any:
        """Return a copy."""
        return _Reader(io.BytesIO(self._written), self._shared).load()


class _Writer(pickle.Pickler):
    def __init__(self, file: io.BytesIO, shared: dict[int, Any]) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._shared = shared

    def persistent_id(self, value: Any) -> int | None:
        """Return the number of an object that copies share; None for others."""
        large = isinstance(value, (np.ndarray, torch.Tensor)) and value.nbytes >= _LARGE
        if not large and not isinstance(value, _SHARED):
            return None
        self._shared[id(value)] = value
        return id(value)


class _Reader(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, shared: dict[int, Any]) -> None:
        super().__init__(file)
        self._shared = shared

    def persistent_load(self, number: int) -> Any:
        """Return the object of a number."""
        return self._shared[number]

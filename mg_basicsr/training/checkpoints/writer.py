"""Writer of a run's checkpoints: each file atomically, networks and state as a pair, no more pairs than wanted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mg_basicsr.atomic_files import sync_folder
from mg_basicsr.training.checkpoints.files import (
    Serialize,
    network_iteration,
    networks_in,
    states_in,
    write_hashed,
    write_sealed,
)


class UnpairedError(Exception):
    """Error of a training state whose networks could not be written."""


class CheckpointWriter:
    """Writer of the checkpoints of one run, on the rank that saves.

    BasicSR saves the networks of an iteration and then its state. In between, the writer keeps the hashes of these
    networks, and whether one of them failed.

    Attributes:
        iteration: That of the networks written last.
        newest: That of the newest pair known to be whole; None before the first.
        last_state: The state last asked for, as the host made it, and its file.
        saved_best: The best results of validation in the state last written.
        last_failure: File and reason where a network without an iteration in its name (`latest`), which is saved at the
            end of a training, could not be written.
    """

    def __init__(self) -> None:
        self.iteration: int | None = None
        self.newest: int | None = None
        self.last_state: tuple[Path, Mapping[str, Any]] | None = None
        self.saved_best: Any = None
        self.last_failure: tuple[Path, str] | None = None
        self._networks: dict[Path, str] = {}
        self._failed = False

    def write_network(self, path: Path, serialize: Serialize) -> None:
        """Write a network's file. One without an iteration in its name (`latest`) belongs to no pair.

        Args:
            path: Path of the file.
            serialize: Writes the content to a file object.

        Raises:
            OSError: the file cannot be written.
        """
        iteration = network_iteration(path)
        if iteration is None:
            write_hashed(path, serialize)
            return
        if iteration != self.iteration:
            self.iteration, self._networks, self._failed = iteration, {}, False
        try:
            self._networks[path] = write_hashed(path, serialize)
        except BaseException:
            self._failed = True
            raise

    def hashes(self, state: Path, iteration: int) -> dict[str, str]:
        """Return the hashes of the networks that were written for a state.

        Args:
            state: Path that the state will have.
            iteration: Iteration of the state.

        Returns:
            File name -> SHA-256; empty if no networks of this iteration were written.

        Raises:
            UnpairedError: one of the networks could not be written.
        """
        if iteration != self.iteration:
            return {}
        if self._failed:
            self._abandon(state)
            raise UnpairedError('the networks of its iteration could not be written')
        return {path.name: digest for path, digest in self._networks.items()}

    def write_state(self, path: Path, iteration: int, serialize: Serialize) -> None:
        """Write a training state, which completes the pair of its iteration.

        Args:
            path: Path of the file.
            iteration: Iteration of the state.
            serialize: Writes the content to a file object.

        Raises:
            OSError: the file cannot be written. The networks of the pair are removed.
        """
        try:
            write_sealed(path, serialize)
        except BaseException:
            self._abandon(path)
            raise
        self.newest = iteration

    def _abandon(self, state: Path) -> None:
        """Remove the networks of a pair that cannot be completed: they would take space on a disk that may be full.

        Where an older state of the same iteration exists, the networks belong to it: a run that was resumed before it
        writes the same bytes again.
        """
        if not state.exists():
            for path in self._networks:
                path.unlink(missing_ok=True)
            self._networks = {}


def remove_older(states: Path, models: Path, newest: int, keep: int) -> list[int]:
    """Remove the oldest pairs, so that `keep` remain of those up to the one just written.

    Args:
        states: Folder of the training states.
        models: Folder of the networks.
        newest: Iteration of a pair that is known to be whole. Neither this nor a later one is removed.
        keep: Pairs to keep, >= 1.

    Returns:
        The iterations removed.

    Raises:
        OSError: a file cannot be removed.
    """
    older = [path for path in states_in(states) if int(path.stem) < newest]
    removed = older[keep - 1 :]
    for path in reversed(removed):
        path.unlink(missing_ok=True)  # first, so that an interruption leaves networks without a state, not the reverse
        for network in networks_in(models, int(path.stem)):
            network.unlink(missing_ok=True)
    if removed:
        sync_folder(states)
        sync_folder(models)
    return [int(path.stem) for path in removed]

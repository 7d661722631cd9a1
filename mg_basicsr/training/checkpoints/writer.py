"""Writes a run's checkpoints: each file whole or absent, network and state as a pair, no more pairs than wanted."""

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
    """A training state whose networks could not be written."""


class CheckpointWriter:
    """The writer of one run, on the rank that saves.

    BasicSR saves the networks of an iteration and then its state. What the writer remembers in between are the hashes
    of these networks, and whether one of them failed.

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
        """Writes a network's file. One without an iteration in its name (`latest`) belongs to no pair.

        Raises:
            OSError: it cannot be written.
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
        """File name -> SHA-256 of the networks that were written for the state of an iteration.

        Raises:
            UnpairedError: one of them was not.
        """
        if iteration != self.iteration:
            return {}
        if self._failed:
            self._abandon(state)
            raise UnpairedError('the networks of its iteration could not be written')
        return {path.name: digest for path, digest in self._networks.items()}

    def write_state(self, path: Path, iteration: int, serialize: Serialize) -> None:
        """Writes a training state, which makes the pair of its iteration complete.

        Raises:
            OSError: it cannot be written.
        """
        try:
            write_sealed(path, serialize)
        except BaseException:
            self._abandon(path)
            raise
        self.newest = iteration

    def _abandon(self, state: Path) -> None:
        """Removes the networks of a pair that will not be complete, which would take space on a full disk.

        Where an older state of the same iteration exists, the networks belong to it: a run that was resumed before it
        writes the same bytes again.
        """
        if not state.exists():
            for path in self._networks:
                path.unlink(missing_ok=True)
            self._networks = {}


def remove_older(states: Path, models: Path, newest: int, keep: int) -> list[int]:
    """Removes the oldest pairs, so that `keep` are left of those up to the one just written.

    Args:
        states, models: The folders.
        newest: Iteration of a pair that is known to be whole. It is never removed, nor is a later one.
        keep: Pairs to keep, >= 1.

    Returns:
        The iterations removed.

    Raises:
        OSError: a file cannot be removed.
    """
    older = [path for path in states_in(states) if int(path.stem) < newest]
    removed = older[keep - 1 :]
    for path in reversed(removed):
        path.unlink(missing_ok=True)  # first: what is left if this is interrupted is not taken for a pair
        for network in networks_in(models, int(path.stem)):
            network.unlink(missing_ok=True)
    if removed:
        sync_folder(states)
        sync_folder(models)
    return [int(path.stem) for path in removed]

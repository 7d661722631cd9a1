"""Search for the checkpoint to resume from: the newest that is whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mg_basicsr.errors import Problem, TrainingError
from mg_basicsr.training.checkpoints.files import (
    MODELS,
    check_archive,
    hash_of,
    networks_in,
    state_iteration,
    states_in,
)
from mg_basicsr.training.checkpoints.safe_loading import DamagedError, load_safely

KEY = 'multigrid'  # key of this package's record in BasicSR's state
FORMAT = 1  # of that record


@dataclass(frozen=True)
class ResumePoint:
    """Checkpoint that is whole.

    Attributes:
        path: File of the training state.
        state: Its content: BasicSR's `epoch`, `iter`, `optimizers`, `schedulers`, and `multigrid` if this package
            wrote it.
        networks: File name -> file of each network that belongs to it.
        skipped: Newer checkpoints that are damaged, one line each.
    """

    path: Path
    state: dict[str, Any]
    networks: dict[str, Path]
    skipped: tuple[str, ...] = ()

    @property
    def iteration(self) -> int:
        """Iterations trained."""
        return int(self.state['iter'])

    @property
    def record(self) -> dict[str, Any] | None:
        """Record of this package in the state; None for a checkpoint that BasicSR wrote without it."""
        return self.state.get(KEY)


def find_resume_point(path: Path, read: Callable[[Path], Any], fall_back: bool) -> ResumePoint:
    """Return the checkpoint of a training state's file or, if that is damaged, the newest whole one before it.

    Args:
        path: File of the state; its networks are in the folder `models` beside the state's folder.
        read: Loads a file with `weights_only=True`.
        fall_back: Whether an older checkpoint may be used; not for one that the user has named.

    Raises:
        TrainingError: no checkpoint is whole; or the newest whole one runs code when it is loaded, or was written by a
            later version.
    """
    skipped: list[str] = []
    for candidate in (path, *_older(path)) if fall_back else (path,):
        try:
            state, networks = open_pair(candidate, read)
        except (DamagedError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            skipped.append(f'{candidate}: {reason}')
        else:
            return ResumePoint(candidate, state, networks, tuple(skipped))
    if fall_back:
        raise TrainingError(
            Problem(
                str(path.parent),
                f'no checkpoint is whole ({"; ".join(skipped)})',
                'needed: one training state with the networks that were saved with it',
                'bring a copy back, or move the experiment away to begin anew',
            )
        )
    raise TrainingError(
        Problem(
            'path.resume_state',
            f'{skipped[0]}',
            f'allowed: a training state that is whole, with its networks in {_models(path)}',
            'name another one, or leave path.resume_state empty and use --auto_resume',
        )
    )


def open_pair(path: Path, read: Callable[[Path], Any]) -> tuple[dict[str, Any], dict[str, Path]]:
    """Load a training state, and find and check the files of its networks.

    The networks must have the hashes that the state holds. A state without hashes, which BasicSR wrote without this
    package, must have a network of the same iteration that is not cut off or changed.

    Args:
        path: File of the state.
        read: Loads a file with `weights_only=True`.

    Returns:
        The state, and its networks by file name.

    Raises:
        DamagedError: one of the files is missing, damaged, or was not saved with the others.
        OSError: one of the files cannot be read.
        TrainingError: loading the state would run code, or a later version wrote it.
    """
    unsealed = check_archive(path)
    state = load_safely(path, lambda: read(path))
    if not isinstance(state, dict) or not {'epoch', 'iter', 'optimizers', 'schedulers'} <= state.keys():
        raise DamagedError(f'it is not a training state{_but(state)}')
    _check_fields(state)
    record = state.get(KEY)
    if record is not None:
        if unsealed:  # every state with a record was written with its own hash
            raise DamagedError('it has changed')
        _check_format(path, record)
    models = _models(path)
    hashes = record['networks'] if record else {}
    networks = {name: models / Path(name).name for name in hashes}
    for name, digest in hashes.items():
        if not networks[name].is_file():
            raise DamagedError(f'{networks[name]} is missing, which was saved with it')
        if hash_of(networks[name]) != digest:
            raise DamagedError(f'{networks[name]} is damaged or was not saved with it')
    if not hashes:
        networks = {file.name: file for file in networks_in(models, int(state['iter']))}
        if not networks:
            raise DamagedError(f'no network of iteration {state["iter"]} is in {models}')
        for file in networks.values():
            _check_network(file)
    return state, networks


def _but(content: Any) -> str:
    """Return what a file is that is no training state, to follow that."""
    return ', but has the weights of a network' if isinstance(content, dict) and 'params' in content else ''


def _check_fields(state: dict[str, Any]) -> None:
    for key in ('epoch', 'iter'):
        if type(state[key]) is not int or state[key] < 0:
            raise DamagedError(f'it is not a training state of BasicSR: its {key} is {str(state[key])[:20]!r}')
    for key in ('optimizers', 'schedulers'):
        if not isinstance(state[key], list) or not all(isinstance(item, dict) for item in state[key]):
            raise DamagedError(f'it is not a training state of BasicSR: its {key} are no list of states')


def _check_network(file: Path) -> None:
    try:
        check_archive(file)
    except DamagedError as error:
        raise DamagedError(f'{file} is damaged: {error}') from None


def _check_format(path: Path, record: Any) -> None:
    if not isinstance(record, dict) or not {'format', 'networks', 'plan'} <= record.keys():
        raise DamagedError('it is not a training state')
    if record['format'] != FORMAT:
        raise TrainingError(
            Problem(
                str(path),
                f'written by mg_basicsr {record.get("version")}, in form {record["format"]}',
                f'allowed: form {FORMAT}',
                'resume with the version that wrote it',
            )
        )


def _older(path: Path) -> Iterator[Path]:
    """Yield the states before a file in its folder, the newest first."""
    iteration = state_iteration(path)
    if iteration is not None:
        yield from (other for other in states_in(path.parent) if int(other.stem) < iteration)


def _models(path: Path) -> Path:
    return path.absolute().parent.parent / MODELS

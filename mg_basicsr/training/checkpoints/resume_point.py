"""Where a run can be resumed: the newest checkpoint that is whole."""

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

KEY = 'multigrid'  # what we add to BasicSR's state is under this key
FORMAT = 1  # of what is under it


@dataclass(frozen=True)
class ResumePoint:
    """A checkpoint that is whole.

    Attributes:
        path: The training state's file.
        state: What is in it: BasicSR's `epoch`, `iter`, `optimizers`, `schedulers`, and `multigrid` if it is ours.
        networks: File name -> file of each network that belongs to it.
        skipped: Newer checkpoints that are damaged, one line each.
    """

    path: Path
    state: dict[str, Any]
    networks: dict[str, Path]
    skipped: tuple[str, ...] = ()

    @property
    def iteration(self) -> int:
        """Iterations that had been trained."""
        return int(self.state['iter'])

    @property
    def record(self) -> dict[str, Any] | None:
        """What we added to the state; None for a checkpoint of BasicSR's own."""
        return self.state.get(KEY)


def find_resume_point(path: Path, read: Callable[[Path], Any], fall_back: bool) -> ResumePoint:
    """The checkpoint of a training state's file or, if that is damaged, the newest whole one before it.

    Args:
        path: The state's file; its networks are in the folder `models` beside the folder that it is in.
        read: Loads a file with `weights_only=True`.
        fall_back: Whether an older one may be taken: one that the user has named himself is used or refused.

    Raises:
        TrainingError: there is no whole one; or one that would have to be taken runs code when it is loaded, or was
            written by a later version.
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
    """A training state and the files of its networks.

    Of our own checkpoints the networks must have the hashes that the state holds. Of BasicSR's own, which hold none,
    there must be a network of the same iteration that is not cut off or changed.

    Raises:
        DamagedError: one of the files is missing, damaged, or not from the same moment.
        OSError: one cannot be read.
        TrainingError: loading the state would run code, or it is of a later version.
    """
    unsealed = check_archive(path)
    state = load_safely(path, lambda: read(path))
    if not isinstance(state, dict) or not {'epoch', 'iter', 'optimizers', 'schedulers'} <= state.keys():
        raise DamagedError('it is not a training state')
    record = state.get(KEY)
    if record is not None:
        if unsealed:
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
    """The states before a file in its folder, the newest first."""
    iteration = state_iteration(path)
    if iteration is not None:
        yield from (other for other in states_in(path.parent) if int(other.stem) < iteration)


def _models(path: Path) -> Path:
    return path.absolute().parent.parent / MODELS

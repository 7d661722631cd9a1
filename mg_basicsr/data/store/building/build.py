"""Builder of stores, in several processes; it can be killed at any moment and continued.

A clip is written under a temporary name, synced to disk, renamed, and only then listed. Listed clips are therefore
whole; all others are made, or made again.
"""

from __future__ import annotations

import fcntl
import logging
import multiprocessing
import multiprocessing.connection
import os
import signal
import stat
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from mg_basicsr.atomic_files import append_line, remove_partials, write_whole
from mg_basicsr.data.listing.sequences import FrameSequence, first_of
from mg_basicsr.data.store.building.material import Material
from mg_basicsr.data.store.building.writer import write_clip
from mg_basicsr.data.store.format import (
    ANEW,
    HEADER,
    LIST,
    VERSION,
    Clip,
    Header,
    clip_path,
    line_of,
    read_header,
    read_list,
    write_header,
    write_meta_file,
)
from mg_basicsr.data.store.origins import ORIGINS, Sides, origin_line, read_origins
from mg_basicsr.errors import ConfigError, DataError, Problem

POLL = 0.2  # seconds between reports of progress

Progress = Callable[[int], None]  # clips done, of all


def build(
    root: Path, header: Header, material: Sequence[Material], workers: int = 1, progress: Progress | None = None
) -> list[Clip]:
    """Make all clips that are not in the store yet, and write its lists in the order of the material.

    If a clip cannot be made, the others still are, and the error is raised at the end.

    Args:
        root: Folder of the store; made if absent.
        header: Properties of the store.
        material: Sources of the clips, with distinct names.
        workers: Number of processes; with 1 everything is done in this one.
        progress: Called with the number of clips done, of all, about every 0.2 s.

    Returns:
        All clips of the store.

    Raises:
        ConfigError: the folder holds something else, or a store with another header, or another process builds it.
        DataError: frames are missing or damaged, or the disk is full. The clips listed by then can be used.

    >>> import tempfile
    >>> import numpy as np
    >>> from mg_basicsr.data.store.building.material import ArrayClip
    >>> gt, lq = np.zeros((5, 64, 96, 3), np.uint8), np.zeros((5, 16, 24, 3), np.uint8)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     clips = build(Path(folder, 'store'), Header(scale=4), [ArrayClip('000', gt, lq), ArrayClip('001', gt, lq)])
    >>> [(clip.name, clip.geometry.frames, clip.bytes) for clip in clips]
    [('000', 5, 97920), ('001', 5, 97920)]
    """
    begin(root, header)
    convert(root, header, material)
    with _lock(root):
        remove_partials(root)
        done = keep_whole(root, header, material)
        wanted = {clip.name for part in material for clip in part.clips} - done
        todo = [part for part in material if any(clip.name in wanted for clip in part.clips)]
        problems: list[Problem] = []
        if progress:
            progress(len(done))
        work = partial(make, root, header)
        for found in run_parts(work, todo, wanted, workers, lambda: progress and progress(_listed(root))):
            problems += found
        if problems:
            raise DataError(*first_of(problems, 'of this kind'))
        return _finish(root, header, material)


def begin(root: Path, header: Header) -> None:
    """Make the folder and its header, or check existing ones.

    Args:
        root: Folder of the store.
        header: Properties of the store.

    Raises:
        ConfigError: the folder holds something else, or a store with another header.
        DataError: the header in the folder is damaged.
    """
    if (root / HEADER).exists():
        found = read_header(root)
        if found != header:
            raise ConfigError(
                Problem(f'-o {root}', f'another store: {found}', f'allowed: a store as asked for, {header}', ANEW)
            )
        return
    try:
        root.mkdir(parents=True, exist_ok=True)
        # names that begin as the header's: temporary files of a build that was killed at its very start
        if any(not entry.name.startswith(HEADER) for entry in root.iterdir()):
            what = 'not empty and not a store'
            raise ConfigError(Problem(f'-o {root}', what, 'allowed: a store, or a new folder', 'give another folder'))
        write_header(root, header)
    except OSError as error:
        what = f'cannot be written: {error.strerror}'
        raise ConfigError(
            Problem(f'-o {root}', what, 'allowed: a folder on a disk with space', 'give another folder')
        ) from None


def convert(root: Path, header: Header, material: Sequence[Material]) -> None:
    """Bring the list and the header of a store of an earlier version to this one; files of clips are not changed.

    Args:
        root: Folder of the store.
        header: Its header.
        material: Sources of the planned clips.
    """
    if read_header(root).version < VERSION:
        with _lock(root):  # of the old header, which is replaced
            keep_whole(root, header, material)
            write_header(root, header)


def keep_whole(root: Path, header: Header, material: Sequence[Material]) -> set[str]:
    """Remove clips from the list whose file or layout is not as listed or planned.

    Args:
        root: Folder of the store.
        header: Its header.
        material: Sources of the planned clips.

    Returns:
        Names of planned clips that remain listed, and need not be made.
    """
    planned = {clip.name: (clip, part.gt_frames) for part in material for clip in part.clips}
    clips, damaged = read_list(root, read_header(root))  # which may be of an earlier version
    kept = {
        name: clip
        for name, clip in clips.items()
        if _holds(clip, *planned.get(name, (clip.sequence, clip.geometry.gt_frames)))
        and _size(clip_path(root, name)) == clip.bytes
    }
    text = ''.join(line_of(clip, header) for clip in kept.values())
    path = root / LIST
    if damaged or not path.exists() or path.read_bytes() != text.encode():
        write_whole(path, text)  # a line that was cut short would swallow the next one
    return {name for name in kept if name in planned}


def _holds(clip: Clip, planned: FrameSequence, gt_frames: tuple[int, ...]) -> bool:
    """Return whether a clip has the frames and the size that are planned; tiles may differ, and it may have more GT."""
    return clip.sequence == planned and set(clip.geometry.with_gt).issuperset(gt_frames or range(planned.frames))


def _finish(root: Path, header: Header, material: Sequence[Material]) -> list[Clip]:
    """Put the list into the order of the material; processes have listed clips in any order."""
    clips, _ = read_list(root, header)
    order = [clip.name for part in material for clip in part.clips]
    names = [*order, *(name for name in clips if name not in set(order))]
    ordered = [clips[name] for name in names]
    write_whole(root / LIST, ''.join(line_of(clip, header) for clip in ordered))
    origins = read_origins(root)
    if origins:
        write_whole(root / ORIGINS, ''.join(origin_line(name, origins[name]) for name in names if name in origins))
    write_meta_file(root, ordered)
    return ordered


def make(root: Path, header: Header, material: Material, wanted: Collection[str]) -> list[Problem]:
    """Make clips and list them, up to the first that cannot be made.

    Args:
        root: Folder of the store.
        header: Its header.
        material: Source of the clips.
        wanted: Names of the clips to make.

    Returns:
        Problems of the clip that cannot be made; none if all were made.

    Raises:
        DataError: the store cannot be written, so that no further clip can be made.
    """
    try:
        for sequence, frames in material.open(wanted):
            origin = _origin(material, sequence.name)  # first: frames that change meanwhile are then noticed
            clip = write_clip(root, header, sequence, frames, material.gt_frames)
            if origin:
                append_line(root / ORIGINS, origin_line(sequence.name, origin))
            append_line(root / LIST, line_of(clip, header))
    except DataError as error:
        return list(error.problems)
    except OSError as error:
        raise DataError(
            Problem(
                f'-o {root}',
                f'{error.filename or "it"} cannot be written: {error.strerror}',
                'allowed: a disk with space for the whole store',
                'make space and run `mg-basicsr prepare` again with the same arguments: it continues',
            )
        ) from None
    return []


def _origin(material: Material, name: str) -> Sides:
    try:
        return material.origin(name)
    except OSError:  # a frame is missing: reading it says so
        return {}


def run_parts(
    work: Callable[[Material, Collection[str]], list[Problem]],
    material: Sequence[Material],
    wanted: Collection[str],
    workers: int,
    look: Callable[[], object] = lambda: None,
) -> Iterator[list[Problem]]:
    """Do work on the wanted clips of pieces of material, in several processes; yield the problems of each piece.

    Args:
        work: Called with a piece and the names of the wanted clips; can be pickled.
        material: The pieces.
        wanted: Names of the wanted clips.
        workers: Number of processes; with 1 everything is done in this one.
        look: Called now and then, to report progress.

    Raises:
        DataError: the store cannot be written, or a process was killed.
    """
    if workers <= 1:
        for part in material:
            yield work(part, wanted)
            look()
        return
    context = multiprocessing.get_context('spawn')  # a fork would copy OpenCV's and torch's threads in any state
    with ProcessPoolExecutor(min(workers, len(material)) or 1, context, initializer=_start) as pool:
        pending: set[Future[list[Problem]]] = set()
        queue = list(reversed(material))
        try:
            while queue or pending:
                while queue and len(pending) < 2 * workers:
                    part = queue.pop()
                    names = {clip.name for clip in part.clips}.intersection(wanted)
                    pending.add(pool.submit(work, part, names))
                done, pending = wait(pending, POLL, FIRST_COMPLETED)
                look()
                for future in done:
                    yield future.result()
        except BrokenProcessPool:
            what = 'a process that makes clips was killed, perhaps because memory ran out'
            raise DataError(
                Problem('', what, remedy='run the command again with fewer --workers: it continues')
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


def _start() -> None:
    """Prepare a process: one thread, and an exit when the parent ends for any reason."""
    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the parent ends its workers
    cv2.setNumThreads(0)
    os.environ['OMP_NUM_THREADS'] = '1'
    parent = multiprocessing.parent_process()
    if parent:
        threading.Thread(target=_leave_with, args=(parent.sentinel,), daemon=True).start()


def _leave_with(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)


@contextmanager
def _lock(root: Path) -> Iterator[None]:
    """Lock a store against other builds; the system releases the lock when the process ends.

    Where the file system has no locks, a warning says so.

    Raises:
        ConfigError: another process builds the store.
    """
    with open(root / HEADER, 'rb') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            what = 'is being built by another process'
            raise ConfigError(
                Problem(f'-o {root}', what, 'allowed: one process at a time', 'wait until it ends')
            ) from None
        except OSError as error:
            logging.getLogger('mg_basicsr').warning(
                f'{root} cannot be locked ({error.strerror}): build it from one process at a time'
            )
        yield


def _listed(root: Path) -> int:
    return (root / LIST).read_bytes().count(b'\n')


def _size(path: Path) -> int:
    try:
        found = path.lstat()
    except OSError:
        return -1
    return found.st_size if stat.S_ISREG(found.st_mode) else -1

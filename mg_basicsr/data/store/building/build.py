"""Builds a store in several processes, so that it can be killed at any moment and continued.

A clip is written to a temporary name, synced to disk, renamed, and only then listed. What is listed is therefore whole;
what is not listed is made, again if need be.
"""

from __future__ import annotations

import fcntl
import multiprocessing
import multiprocessing.connection
import os
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path

from mg_basicsr.atomic_files import append_line, remove_partials, write_whole
from mg_basicsr.data.listing.sequences import first_of
from mg_basicsr.data.store.building.material import Material
from mg_basicsr.data.store.building.writer import geometry_of, write_clip
from mg_basicsr.data.store.format import (
    ANEW,
    HEADER,
    LIST,
    Clip,
    Header,
    clip_path,
    line_of,
    read_header,
    read_list,
    write_header,
    write_meta_file,
)
from mg_basicsr.errors import ConfigError, DataError, Problem

POLL = 0.2  # seconds between looks at how far the processes are

Progress = Callable[[int], None]  # clips done, of all


def build(
    root: Path, header: Header, material: Sequence[Material], workers: int = 1, progress: Progress | None = None
) -> list[Clip]:
    """Makes all clips that are not in the store yet, and writes the lists in the order of the material.

    A clip that cannot be made does not keep the others from being made.

    Args:
        root: Folder of the store; made if absent.
        header: What the store is to be.
        material: What the clips are made from.
        workers: Processes; with 1 everything is done in this one.
        progress: Called now and then.

    Returns:
        All clips of the store.

    Raises:
        ConfigError: the folder holds something else, or a store of another kind, or another process builds it.
        DataError: frames are missing or damaged, or the disk is full. What is listed then can be used.
    """
    begin(root, header)
    with _lock(root):
        remove_partials(root)
        done = keep_whole(root, header, material)
        wanted = {clip.name for part in material for clip in part.clips} - done
        todo = [part for part in material if any(clip.name in wanted for clip in part.clips)]
        problems: list[Problem] = []
        if progress:
            progress(len(done))
        for found in _run(root, header, todo, wanted, workers, lambda: progress and progress(_listed(root))):
            problems += found
        if problems:
            raise DataError(*first_of(problems, 'of this kind'))
        return _finish(root, header, material)


def begin(root: Path, header: Header) -> None:
    """Makes the folder and its header, or checks those that are there.

    Raises:
        ConfigError: it is not the store that the header describes.
        DataError: its header is damaged.
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
        if any(not entry.name.startswith(HEADER) for entry in root.iterdir()):
            what = 'not empty and not a store'
            raise ConfigError(Problem(f'-o {root}', what, 'allowed: a store, or a new folder', 'give another folder'))
        write_header(root, header)
    except OSError as error:
        what = f'cannot be written: {error.strerror}'
        raise ConfigError(
            Problem(f'-o {root}', what, 'allowed: a folder on a disk with space', 'give another folder')
        ) from None


def keep_whole(root: Path, header: Header, material: Sequence[Material]) -> set[str]:
    """Names of the clips that need not be made. Clips whose file is not as listed leave the list."""
    planned = {clip.name: geometry_of(clip, header) for part in material for clip in part.clips}
    clips, damaged = read_list(root, header)
    kept = {
        name: clip
        for name, clip in clips.items()
        if planned.get(name, clip.geometry) == clip.geometry and _size(clip_path(root, name)) == clip.bytes
    }
    text = ''.join(map(line_of, kept.values()))
    path = root / LIST
    if damaged or not path.exists() or path.read_bytes() != text.encode():
        write_whole(path, text)  # a line that was cut short would swallow the next one
    return {name for name in kept if name in planned}


def _finish(root: Path, header: Header, material: Sequence[Material]) -> list[Clip]:
    """Puts the list into the order of the material, whichever process was first."""
    clips, _ = read_list(root, header)
    order = [clip.name for part in material for clip in part.clips]
    names = [*order, *(name for name in clips if name not in set(order))]
    ordered = [clips[name] for name in names]
    write_whole(root / LIST, ''.join(map(line_of, ordered)))
    write_meta_file(root, ordered)
    return ordered


def make(root: Path, header: Header, material: Material, wanted: Collection[str]) -> list[Problem]:
    """Makes and lists clips; what is wrong with one of them is returned.

    Raises:
        DataError: the disk is full: nothing more can be done.
    """
    try:
        for sequence, frames in material.open(wanted):
            clip = write_clip(root, header, sequence, frames)
            append_line(root / LIST, line_of(clip))
    except DataError as error:
        return list(error.problems)
    except OSError as error:
        raise DataError(
            Problem(
                f'-o {root}',
                f'cannot be written: {error.strerror}',
                'allowed: a disk with space for the whole store',
                'make space and run `mg-basicsr prepare` again with the same arguments: it continues',
            )
        ) from None
    return []


def _run(
    root: Path,
    header: Header,
    material: Sequence[Material],
    wanted: Collection[str],
    workers: int,
    look: Callable[[], object],
) -> Iterator[list[Problem]]:
    """Problems of each piece of material as it is done."""
    if workers <= 1:
        for part in material:
            yield make(root, header, part, wanted)
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
                    pending.add(pool.submit(make, root, header, part, names))
                done, pending = wait(pending, POLL, FIRST_COMPLETED)
                look()
                for future in done:
                    yield future.result()
        except BrokenProcessPool:
            what = 'a process that makes clips was killed, perhaps for want of memory'
            raise DataError(
                Problem('', what, remedy='run the command again with fewer --workers: it continues')
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


def _start() -> None:
    """In each process: one thread, and an end when the parent ends, however it ends."""
    import cv2

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
    """Keeps two builds out of one folder; the system undoes it when the process ends."""
    with open(root / HEADER, 'rb') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            what = 'is being built by another process'
            raise ConfigError(
                Problem(f'-o {root}', what, 'allowed: one process at a time', 'wait until it ends')
            ) from None
        yield


def _listed(root: Path) -> int:
    return (root / LIST).read_bytes().count(b'\n')


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1

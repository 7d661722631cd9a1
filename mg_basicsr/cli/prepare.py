"""`mg-basicsr prepare`: build a crop store. After an interruption at any moment, the next call continues."""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mg_basicsr.data.listing.folders import VIDEOS
from mg_basicsr.data.listing.sequences import first_of
from mg_basicsr.dataset_types import DEGRADATIONS, VIMEO_WINDOWS
from mg_basicsr.errors import ConfigError, DataError, Problem, printable
from mg_basicsr.parsing.options_file import load_options

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from mg_basicsr.data.store.building.inputs import Findings
    from mg_basicsr.data.store.building.material import Material
    from mg_basicsr.data.store.format import Header

BLOCK = 4  # frames that are compressed together: more is a little smaller, and more is decoded for nothing
CLIP_LENGTH = 100  # of REDS
COMPRESSED = 0.5  # of the raw size; measured: 0.42 to 0.48
LAYOUTS = ('reds', 'images')  # Vimeo-90K's differs in the names of frames alone, which are read from the disk
MOST_SKIPPED = 20  # lines
RESERVE = 1 << 28  # bytes that are left free


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument('-opt', '--opt', help='an options file: its training set')
    parser.add_argument('--force_yml', nargs='+', default=[], metavar='key:key=value')
    parser.add_argument(
        '--gt', nargs='+', metavar='PATH', help='in place of -opt: a folder of clips, an LMDB of BasicSR, or videos'
    )
    parser.add_argument('--lq', metavar='PATH', help='the same clips in low quality')
    parser.add_argument('--degradation', choices=list(DEGRADATIONS), help='makes LQ from GT')
    parser.add_argument('--scale', type=int, help="GT pixels per LQ pixel and axis (default: 4, or the file's)")
    parser.add_argument(
        '--layout',
        choices=LAYOUTS,
        help='of --gt: a folder for each clip, as in REDS and Vimeo-90K (reds, the default), or single images',
    )
    parser.add_argument('--clip-length', type=int, metavar='N', help=f'of videos, in frames (default: {CLIP_LENGTH})')
    parser.add_argument('-o', '--output', help='folder of the store (default: the one that the options file names)')
    parser.add_argument('--compress', action='store_true', help='half the size, samples take up to 20 times as long')
    parser.add_argument('--workers', type=int, default=os.cpu_count() or 1, metavar='N', help='processes')
    parser.add_argument(
        '--verify',
        action='store_true',
        help='check the checksums of the finished store, and its pixels with the sources',
    )
    parser.add_argument(
        '--difficulty',
        action='store_true',
        help='note how well bicubic upscaling does in each region of a clip, for samplers that want it',
    )
    parser.add_argument(
        '--allow-missing',
        action='store_true',
        help='take clips with gaps, and end without an error if clips are left out',
    )


def run(arguments: argparse.Namespace) -> int:
    """Build the store, verify it if requested, and return the exit code.

    Raises:
        DataError: Clips were left out and `--allow-missing` was not given; the others are in the store.
    """
    from rich.console import Console

    from mg_basicsr.data.store.building.build import begin, build
    from mg_basicsr.data.store.building.compare import check_origins
    from mg_basicsr.data.store.building.inputs import Findings

    console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)  # lines have names of files in them
    check(arguments)
    findings = Findings(arguments.allow_missing)
    root, header, material = collect(arguments, console, findings)
    report(findings, arguments.allow_missing, console)
    begin(root, header)
    unknown = check_origins(root, header, material)
    if unknown:
        what = f'{unknown:,} clips are there already, and what they were made from is not recorded'
        console.print(one_line(f'{what}: --verify compares their pixels.'))
    total = sum(len(part.clips) for part in material)
    need(root, header, material, console)
    with _bars('clips') as bars:
        task = bars.add_task('clips', total=total)
        build(root, header, material, arguments.workers, lambda done: bars.update(task, completed=done))
    frames = sum(clip.frames for part in material for clip in part.clips)
    console.print(one_line(f'{root}: {total:,} clips, {frames:,} frames.'))
    if arguments.difficulty:
        note(root)
    if arguments.verify:
        verified(root, header, material, arguments.workers, console)
    if findings.problems and not arguments.allow_missing:
        raise DataError(*first_of(findings.problems, 'of this kind'))
    console.print(one_line(f'To train from it, set in the options file: multigrid: {{store: {root}}}'))
    return 0


def check(arguments: argparse.Namespace) -> None:
    """Check that the arguments can be combined.

    Raises:
        ConfigError: they cannot; all problems are in one error.
    """
    problems = []
    if bool(arguments.opt) == bool(arguments.gt):
        problems.append(
            Problem('-opt', 'either this or --gt', 'allowed: one of them', 'say what the store is made from')
        )
    if arguments.gt and not arguments.lq and not arguments.degradation:
        problems.append(
            Problem('--gt', 'LQ is missing', 'allowed: --lq DIR, or --degradation bicubic or bd', 'give one of them')
        )
    if arguments.lq and (arguments.degradation or arguments.opt):
        other = '--degradation' if arguments.degradation else '-opt'
        problems.append(Problem('--lq', f'excludes {other}', 'allowed: one of them', 'leave one out'))
    for option, value, least in (
        ('--scale', arguments.scale, 1),
        ('--clip-length', arguments.clip_length, 1),
        ('--workers', arguments.workers, 1),
    ):
        if value is not None and value < least:
            problems.append(Problem(option, f'{value}', f'allowed: an integer of at least {least}', 'change it'))
    if arguments.gt and not arguments.output:
        problems.append(Problem('-o', 'missing', 'allowed: a folder for the store', 'give one'))
    videos = arguments.gt is not None and all(is_video(path) for path in arguments.gt)
    if arguments.gt and len(arguments.gt) > 1 and not videos:
        problems.append(Problem('--gt', 'more than one path', 'allowed: one folder or LMDB, or videos', 'give one'))
    if arguments.layout and (arguments.opt or videos):
        what = 'the options file says it' if arguments.opt else 'not for videos'
        problems.append(Problem('--layout', what, 'allowed: with --gt and a folder or LMDB', 'leave it out'))
    if arguments.clip_length and not videos:
        problems.append(Problem('--clip-length', 'for videos only', 'allowed: with --gt VIDEO', 'leave it out'))
    if problems:
        raise ConfigError(*problems)


def is_video(path: str) -> bool:
    """Return whether a path is treated as a video: by its ending, unless it is a folder."""
    return path.lower().endswith(VIDEOS) and not os.path.isdir(path)


def one_line(text: str) -> str:
    """Return a text with names of files as one line that any terminal can print."""
    return printable(text.replace('\n', '\\n'))


def report(findings: Findings, allow_missing: bool, console: Console) -> None:
    """Print what the listing has skipped, and with `allow_missing` the clips that are left out.

    Args:
        findings: What the listing has left out.
        allow_missing: Whether clips may be missing; if not, they are an error later on.
        console: Console to print to.
    """
    skipped = findings.skipped + ([str(problem) for problem in findings.problems] if allow_missing else [])
    for line in findings.notes:
        console.print(one_line(line))
    for line in skipped[:MOST_SKIPPED]:
        console.print(one_line(f'Skipped {line}'))
    if len(skipped) > MOST_SKIPPED:
        console.print(f'Skipped {len(skipped) - MOST_SKIPPED:,} more.')


def collect(
    arguments: argparse.Namespace, console: Console, findings: Findings
) -> tuple[Path, Header, Sequence[Material]]:
    """Return folder and header of the store, and all clips that it is to have.

    Args:
        arguments: The command's arguments.
        console: Where to print.
        findings: Gets what is left out.

    Raises:
        ConfigError: the arguments or the options file cannot be used.
        DataError: the data that they name is missing or damaged.
    """
    from mg_basicsr.data.store.building.inputs import Making, from_options, from_roots, from_videos
    from mg_basicsr.data.store.format import Header
    from mg_basicsr.host.store_inputs import degradation, training_set

    output = arguments.output
    method = arguments.degradation or 'files'
    material: Sequence[Material]
    if arguments.opt:
        file = load_options(arguments.opt, arguments.force_yml)
        options, kind, store = training_set(file)
        scale = options.scale
        if arguments.scale not in (None, scale):
            what = f'{arguments.scale}, but scale: {scale} in {arguments.opt}'
            raise ConfigError(Problem('--scale', what, f'allowed: {scale}', 'leave it out'))
        output = output or store
        if not output:
            what = f'missing, and {arguments.opt} names no store'
            raise ConfigError(Problem('-o', what, 'allowed: a folder for the store', 'give -o, or set multigrid.store'))
        middle = kind is VIMEO_WINDOWS  # whose samples show the GT of no other frame
        material = from_options(options, kind.layout, degradation(method, scale), findings, middle)
    else:
        scale = arguments.scale or 4
        making = Making(scale, degradation(method, scale))
        if is_video(arguments.gt[0]):
            with _bars('frames') as bars:
                tasks = {
                    path: bars.add_task(one_line(f'looking for shots in {path}'), total=None) for path in arguments.gt
                }
                material = from_videos(
                    arguments.gt,
                    making,
                    arguments.clip_length or CLIP_LENGTH,
                    arguments.workers,
                    lambda path, done: bars.update(tasks[path], completed=done),
                    findings,
                )
            for path in arguments.gt:
                parts = [part for part in material if part.path == path]
                console.print(
                    one_line(f'{path}: {sum(len(part.starts) for part in parts)} clips of {parts[0].frames} frames')
                    if parts
                    else one_line(f'{path}: no clip')
                )
        else:
            material = from_roots(arguments.gt[0], arguments.lq, making, arguments.layout == 'images', findings)
    codec = ('zstd', BLOCK) if arguments.compress else ('raw', 0)
    return Path(output).expanduser(), Header(scale, *codec, method), material


def need(root: Path, header: Header, material: Sequence[Material], console: Console) -> None:
    """Print how much disk space the store will take and how much is free.

    Args:
        root: Folder of the store.
        header: Header of the store.
        material: All clips to be stored.
        console: Console to print to.

    Raises:
        DataError: there is too little space.
    """
    from mg_basicsr.data.store.building.writer import geometry_of
    from mg_basicsr.data.store.format import read_header, read_list

    share = 1.0 if header.codec == 'raw' else COMPRESSED
    there, _ = read_list(root, read_header(root))
    clips = [(clip, part.gt_frames) for part in material for clip in part.clips]
    needed = sum(geometry_of(clip, header, gt).bytes * share for clip, gt in clips if clip.name not in there)
    free = shutil.disk_usage(root).free
    done = sum(clip.name in there for clip, _ in clips)
    about = '' if header.codec == 'raw' else 'about '
    continued = f', {done:,} of them done already' if done else ''
    console.print(
        one_line(f'{len(clips):,} clips{continued}: {about}{_size(needed)} to write; {_size(free)} free in {root}.')
    )
    if needed + RESERVE > free:
        compress = '' if header.codec != 'raw' else ', or add --compress, which takes about half'
        raise DataError(
            Problem(
                f'-o {root}',
                f'{about}{_size(needed)} needed, {_size(free)} free',
                'allowed: a disk with space for the whole store',
                f'make space, or give another folder{compress}',
            )
        )


def verified(root: Path, header: Header, material: Sequence[Material], workers: int, console: Console) -> None:
    """Check every checksum of a store, and compare the pixels of the clips with what they are made from.

    Args:
        root: Folder of the store.
        header: Its header.
        material: Sources of the clips.
        workers: Number of processes.
        console: Where to print how many clips it has.

    Raises:
        DataError: Files are damaged or missing, or clips were made from other frames.
    """
    from mg_basicsr.data.store.building.build import run_parts
    from mg_basicsr.data.store.building.compare import compare
    from mg_basicsr.data.store.building.verify import verify

    names = {clip.name for part in material for clip in part.clips}
    with _bars('clips') as bars:
        task = bars.add_task('comparing pixels', total=len(material))
        differ: list[Problem] = []
        for found in run_parts(partial(compare, root, header), material, names, workers):
            differ += found
            bars.advance(task)
        task = bars.add_task('verifying', total=None)
        count = verify(root, lambda done, total: bars.update(task, completed=done, total=total), differ)
    console.print(one_line(f'{root}: {count:,} clips verified.'))


def note(root: Path) -> None:
    """Note the difficulty of the regions of all clips.

    Raises:
        DataError: a clip is damaged, or the store cannot be written.
    """
    from mg_basicsr.data.store.difficulty import note_difficulty

    with _bars('clips') as bars:
        task = bars.add_task('difficulty', total=None)
        try:
            note_difficulty(root, lambda done, total: bars.update(task, completed=done, total=total))
        except OSError as error:
            what = f'cannot be written: {error.strerror}'
            raise DataError(
                Problem(f'-o {root}', what, 'allowed: a disk with space', 'run the command again')
            ) from None


def _bars(unit: str) -> Progress:
    from rich import progress

    return progress.Progress(
        progress.TextColumn('{task.description}', markup=False),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn(unit),
        progress.TimeElapsedColumn(),
        progress.TimeRemainingColumn(),
    )


def _size(count: float) -> str:
    return f'{count / 1e9:.1f} GB' if count >= 1e9 else f'{count / 1e6:.1f} MB'

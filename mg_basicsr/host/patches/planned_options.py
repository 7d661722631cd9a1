"""Patch of `yaml.load` that puts the plan's numbers into the host's options.

All BasicSR-derived repositories read their options with `yaml.load`. When one of them loads the file that `-opt` names,
`--force_yml`, the plan's `total_iter`, and no warm-up (the plan has its own) are applied to the result. The file on
disk, and BasicSR's copy of it in the experiment's folder, are not changed.
"""

from __future__ import annotations

import atexit
import os
import sys
import tempfile
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mg_basicsr.errors import ending_cleanly
from mg_basicsr.host.entry.command_line import parse_command_line
from mg_basicsr.patching import Function, replace, wrap

if TYPE_CHECKING:
    from mg_basicsr.host.run import Run


def patch_yaml(yaml: Any) -> None:
    """Wrap `yaml.load` so that the host gets the planned options. Called when yaml has been imported."""
    wrap(yaml, 'load', _load_planned, "gives the host the plan's numbers in its options file", required=True)


def _load_planned(original: Function) -> Function:
    def load(stream: Any, *args: Any, **kwargs: Any) -> Any:
        # Parsed again for each load, since scripts and tests change sys.argv.
        command = parse_command_line(sys.argv[1:])
        if not _is_options_file(stream, command.opt):
            return original(stream, *args, **kwargs)
        # Imported here, since most processes that import yaml train nothing.
        from mg_basicsr.host.entry.start import start_run
        from mg_basicsr.host.run import active_run

        run = active_run() or ending_cleanly(start_run)(command)
        # BasicSR's loader ends with a traceback at a merge key
        if run is not None and run.file.merges:
            options = ordered(run.file.options)
        else:
            options = original(stream, *args, **kwargs)
        if run is None:
            return options
        if sys.argv[1:] != list(command.rest):
            replace(sys, 'argv', [*sys.argv[:1], *command.rest], '--force_yml is applied already')
        run.host_options = planned_options(options, run)
        return run.host_options

    return load


def planned_options(options: Any, run: Run) -> Any:
    """Put the plan's numbers into the host's own loaded options.

    Args:
        options: Options as loaded by the host; changed in place.
        run: The run.

    Returns:
        The same object.
    """
    from mg_basicsr.config.refusals import FROZEN_PHASES
    from mg_basicsr.parsing.options_file import apply_overrides
    from mg_basicsr.parsing.text_numbers import convert_numbers

    apply_overrides(options, run.file.force_yml)
    convert_numbers(options)
    options['manual_seed'] = run.settings.seed  # BasicSR draws a new seed on every start if the file has none
    options['train']['total_iter'] = run.plan.total_iter
    options['train']['warmup_iter'] = -1
    if options.get('find_unused_parameters') is None and any(options['train'].get(name) for name in FROZEN_PHASES):
        options['find_unused_parameters'] = True  # DDP would wait for the gradients of what is frozen
    if run.specification.dataset is not None:
        _give_plain_list(options['datasets']['train'], run)
    return options


def _give_plain_list(train_set: Any, run: Run) -> None:
    """Give the host's own data set, which is made and not read, a list of clips that it reads as we read the file's.

    BasicSR splits the lines of REDS's list at single spaces, into exactly three parts: it would end with a traceback
    at tabs, at spaces in a name or at the end of a line, and at `(720, 1280, 3)`; a byte order mark would become a part
    of the first name.
    """
    from mg_basicsr.data.listing.meta_files import host_reads, read_meta_file

    path, kind = train_set.get('meta_info_file'), run.settings.train_set.kind
    if not isinstance(path, str) or kind is None or kind.layout == 'images':
        return
    clips = read_meta_file(path, kind.layout)
    if host_reads(path, kind.layout, clips):
        return
    lines = [f'{clip.name.replace(" ", "_")} {clip.frames} ({clip.height},{clip.width},3)\n' for clip in clips]
    with tempfile.NamedTemporaryFile('w', encoding='utf-8', prefix='meta_info_', suffix='.txt', delete=False) as file:
        file.writelines(lines)
    atexit.register(_remove, file.name, os.getpid())
    train_set['meta_info_file'] = file.name


def _remove(path: str, process: int) -> None:
    if os.getpid() == process:  # a forked worker leaves it to its parent
        Path(path).unlink(missing_ok=True)


def ordered(value: Any) -> Any:
    """Return a copy of loaded options with the sections as BasicSR has them: an OrderedDict each, none shared."""
    if isinstance(value, dict):
        return OrderedDict((key, ordered(item)) for key, item in value.items())
    return [ordered(item) for item in value] if isinstance(value, list) else value


def _is_options_file(stream: Any, opt: Path | None) -> bool:
    """Return whether a stream is the file that -opt names: as an open file, or as its text."""
    if opt is None:
        return False
    name = getattr(stream, 'name', None)
    if isinstance(name, str):
        return os.path.exists(name) and opt.exists() and os.path.samefile(name, opt)
    return isinstance(stream, str) and len(stream) > 0 and opt.exists() and stream == opt.read_text(encoding='utf-8')

"""Patch of `yaml.load` that puts the plan's numbers into the host's options.

All BasicSR-derived repositories read their options with `yaml.load`. When one of them loads the file that `-opt` names,
`--force_yml`, the plan's `total_iter`, and no warm-up (the plan has its own) are applied to the result. The file on
disk, and BasicSR's copy of it in the experiment's folder, are not changed.
"""

from __future__ import annotations

import os
import sys
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
        options = original(stream, *args, **kwargs)
        if run is None:
            return options
        if sys.argv[1:] != list(command.rest):
            replace(sys, 'argv', [*sys.argv[:1], *command.rest], '--force_yml is applied already')
        return planned_options(options, run)

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

    apply_overrides(options, run.file.force_yml)
    options['manual_seed'] = run.settings.seed  # BasicSR draws a new seed on every start if the file has none
    options['train']['total_iter'] = run.plan.total_iter
    options['train']['warmup_iter'] = -1
    if options.get('find_unused_parameters') is None and any(options['train'].get(name) for name in FROZEN_PHASES):
        options['find_unused_parameters'] = True  # DDP would wait for the gradients of frozen parameters
    _numbers_in_place_of_text(options['train'])
    return options


def _numbers_in_place_of_text(train: Any) -> None:
    """Convert rates from text: PyYAML reads `2e-4` as text, which the plan accepts and an optimiser does not."""
    sections = [value for name, value in train.items() if name.startswith('optim_') or name == 'scheduler']
    for section in sections:
        for key in ('lr', 'eta_min'):
            if isinstance(section, dict) and isinstance(section.get(key), str):
                section[key] = float(section[key])


def _is_options_file(stream: Any, opt: Path | None) -> bool:
    """Return whether a stream is the file that -opt names: as an open file, or as its text."""
    if opt is None:
        return False
    name = getattr(stream, 'name', None)
    if isinstance(name, str):
        return os.path.exists(name) and opt.exists() and os.path.samefile(name, opt)
    return isinstance(stream, str) and len(stream) > 0 and opt.exists() and stream == opt.read_text(encoding='utf-8')

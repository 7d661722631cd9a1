"""Public function `mg_basicsr.plan`: the plan of an options file, for programs. Imports neither torch nor basicsr."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mg_basicsr.config.resolve import resolve
from mg_basicsr.errors import ConfigError, Problem
from mg_basicsr.parsing.options_file import load_options
from mg_basicsr.schedule.plan import Plan


def plan(path: str | Path, world_size: int | None = None, force_yml: Sequence[str] = ()) -> Plan:
    """Return the plan of an options file that has a `multigrid:` block, as `mg-basicsr plan` prints it.

    Args:
        path: The options file.
        world_size: Number of ranks, >= 1; by default an integer `num_gpu` of the file, else 1.
        force_yml: `section:key=value` entries, as for BasicSR's `--force_yml`.

    Returns:
        A function of the 0-based iteration: `plan(i)` is the step with its shape, rate and division into passes.

    Raises:
        ConfigError: the file cannot be read or planned, or `world_size` is below 1; it holds all problems found.
    """
    if world_size is not None and world_size < 1:
        raise ConfigError(
            Problem('world_size', f'{world_size}', 'allowed: an integer >= 1', 'give the number of ranks')
        )
    return resolve(load_options(path, force_yml), world_size).plan

"""Check of `--launcher` against the launcher that has started the processes.

With a launcher and without the flag, each process would train its own run in the same experiment.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Sequence

from mg_basicsr.errors import ConfigError, Problem

# Variables in which launchers give each process the number of all: torchrun, srun, mpirun of Open MPI, mpirun of
# MPICH and Intel.
# Slurm's SLURM_NTASKS is that of the job, within which a single process may be started.
SIZES = {
    'WORLD_SIZE': 'pytorch',
    'SLURM_STEP_NUM_TASKS': 'slurm',
    'OMPI_COMM_WORLD_SIZE': 'pytorch',
    'PMI_SIZE': 'pytorch',
}
# what BasicSR reads from the environment
NEEDED = {
    'pytorch': ('RANK', 'WORLD_SIZE'),
    'slurm': ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_NODELIST'),
}


def check_one_process() -> None:
    """Check that a run without `--launcher` is one process.

    Raises:
        ConfigError: a launcher has started several.
    """
    for variable, launcher in SIZES.items():
        value = os.environ.get(variable, '')
        if value.isdigit() and int(value) > 1:
            raise ConfigError(
                Problem(
                    '--launcher',
                    f'none, but this is one of {value} processes of a launcher ({variable}={value})',
                    'allowed: one run in an experiment; without the flag, each process would train its own',
                    _with_launcher(launcher, int(value)),
                )
            )


def check_environment(launcher: str) -> None:
    """Check that the launcher that `--launcher` names has started this process.

    Raises:
        ConfigError: Variables that it sets for its processes are missing.
    """
    missing = [variable for variable in NEEDED.get(launcher, ()) if not os.environ.get(variable)]
    if missing:
        started = 'torchrun' if launcher == 'pytorch' else 'srun, in a job of Slurm'
        raise ConfigError(
            Problem(
                f'--launcher {launcher}',
                f'{", ".join(missing)} {"is" if len(missing) == 1 else "are"} not in the environment',
                f'needed: a process that was started by {started}',
                'start it so, or leave --launcher out to train in one process',
            )
        )


def _with_launcher(launcher: str, ranks: int) -> str:
    """Return the command line that starts as many ranks of one run."""
    here = os.environ.get('LOCAL_WORLD_SIZE') or ranks
    start = f'srun -n {ranks} python' if launcher == 'slurm' else f'torchrun --nproc_per_node={here}'
    arguments = shlex.join([*_script(), *_without_launcher(sys.argv[1:])])
    return f'{start} {arguments} --launcher {launcher}'


def _without_launcher(arguments: Sequence[str]) -> Iterator[str]:
    """Yield arguments but `--launcher none`, and what `mg-basicsr train` adds by itself."""
    skipped = ''
    for argument in arguments:
        if argument in ('--launcher', '--local_rank'):
            skipped = argument
        elif skipped:
            skipped = ''
        elif not argument.startswith(('--launcher=', '--local_rank=')):
            yield argument


def _script() -> Sequence[str]:
    """Return the script that was started, or the module of this package."""
    name = sys.argv[0]
    return [name] if name.endswith('.py') and not name.endswith('__main__.py') else ['-m', 'mg_basicsr', 'train']

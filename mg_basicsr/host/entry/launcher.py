"""Check of `--launcher` against the launcher that has started the processes.

With a launcher and without the flag, each process would train its own run in the same experiment.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence

from mg_basicsr.errors import ConfigError, Problem
from mg_basicsr.parsing.problems import shown

# Variables in which launchers give each process the number of all, with the flag that fits: torchrun, srun, mpirun of
# Open MPI, of MPICH and Intel, of MVAPICH, jsrun of LSF, flux run, horovodrun.
# Slurm's SLURM_NTASKS is that of the job, within which a single process may be started.
SIZES = {
    'WORLD_SIZE': 'pytorch',
    'SLURM_STEP_NUM_TASKS': 'slurm',
    'OMPI_COMM_WORLD_SIZE': 'pytorch',
    'PMI_SIZE': 'pytorch',
    'MV2_COMM_WORLD_SIZE': 'pytorch',
    'JSM_NAMESPACE_SIZE': 'pytorch',
    'FLUX_JOB_SIZE': 'pytorch',
    'HOROVOD_SIZE': 'pytorch',
}
# what BasicSR reads from the environment: rank, ranks, and what else it needs
NEEDED = {
    'pytorch': ('RANK', 'WORLD_SIZE'),
    'slurm': ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_NODELIST'),
}
MEETING = ('MASTER_ADDR', 'MASTER_PORT')  # what torch.distributed reads
STARTERS = {'pytorch': 'torchrun', 'slurm': 'srun, in a job of Slurm'}


def check_one_process() -> None:
    """Check that a run without `--launcher` is one process.

    Raises:
        ConfigError: a launcher has started several.
    """
    for variable, launcher in SIZES.items():
        ranks = _number(variable)
        if ranks is not None and ranks > 1:
            raise ConfigError(
                Problem(
                    '--launcher',
                    f'none, but this is one of {ranks} processes of a launcher ({variable}={ranks})',
                    'allowed: one run in an experiment; without the flag, each process would train its own',
                    _with_launcher(launcher, ranks),
                )
            )


def check_environment(launcher: str) -> None:
    """Check that the launcher that `--launcher` names has started this process.

    Raises:
        ConfigError: Variables that it sets for its processes are missing.
    """
    if launcher not in NEEDED:
        return
    _check_set(launcher, NEEDED[launcher])
    of_rank, of_ranks = NEEDED[launcher][:2]
    rank, ranks = _checked_number(launcher, of_rank), _checked_number(launcher, of_ranks)
    if rank >= ranks > 0:
        what = f'{of_rank}={rank} of {of_ranks}={ranks} processes, from 0'
        raise ConfigError(_not_started_by(launcher, what))
    step = _number('SLURM_STEP_NUM_TASKS')
    if launcher == 'slurm' and step is not None and step != ranks:  # what `sbatch` runs has the variables of the job
        what = f'this is one of {step} processes (SLURM_STEP_NUM_TASKS), and it would wait for {ranks} (SLURM_NTASKS)'
        raise ConfigError(_not_started_by(launcher, what))


def check_meeting(launcher: str) -> None:
    """Check that BasicSR's own training can find the host where the ranks meet. Other scripts may have other ways.

    Raises:
        ConfigError: Variables are missing, or the tool of Slurm that names the first host.
    """
    if launcher == 'pytorch':
        _check_set(launcher, MEETING)
        _checked_number(launcher, 'MASTER_PORT')
    if launcher == 'slurm' and shutil.which('scontrol') is None:
        what = 'scontrol, which names the host where the ranks meet, is not on the PATH'
        raise ConfigError(_not_started_by(launcher, what))


def rank_of(launcher: str) -> int:
    """Return the rank that a launcher has given this process; 0 where it has given none, see `check_environment`.

    Only its own variables are read: those of another are left over from where the job was sent off.

    Args:
        launcher: Value of `--launcher`.
    """
    return _number(NEEDED[launcher][0]) or 0 if launcher in NEEDED else 0


def _check_set(launcher: str, needed: Sequence[str]) -> None:
    missing = [variable for variable in needed if not os.environ.get(variable)]
    if missing:
        what = f'{", ".join(missing)} {"is" if len(missing) == 1 else "are"} not in the environment'
        raise ConfigError(_not_started_by(launcher, what))


def _checked_number(launcher: str, variable: str) -> int:
    number = _number(variable)
    if number is None:
        what = f'{variable}={shown(os.environ[variable])} is no number'
        raise ConfigError(_not_started_by(launcher, what))
    return number


def _not_started_by(launcher: str, what: str) -> Problem:
    return Problem(
        f'--launcher {launcher}',
        what,
        f'needed: a process that was started by {STARTERS[launcher]}',
        'start it so, or leave --launcher out to train in one process',
    )


def _number(variable: str) -> int | None:
    """Return the value of a variable of the environment; None where it is not set, or is no number."""
    value = os.environ.get(variable, '').strip()
    return int(value) if value.isascii() and value.isdigit() else None


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

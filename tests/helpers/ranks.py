"""Several ranks: a script that forks into them and meets itself again through gloo, and torchrun."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.helpers.project import Project
    from tests.helpers.trainer import Trainer


def reserved_port() -> socket.socket:
    """A socket with a free port of this machine, which no other process that asks for one gets until it is closed.

    Nothing listens on it. The store of rank 0 can, since both allow the address to be reused.
    """
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind(('127.0.0.1', 0))
    return reserved


def fork_ranks(world_size: int) -> int:
    """Return once in each of `world_size` forked processes, with its rank and with the environment that torchrun sets.

    The process that called ends when they have: with 0 if all did, and with 1, the others killed, as soon as one fails
    (they would wait for it).

    Returns:
        The rank, from 0.
    """
    reserved = reserved_port()
    port = reserved.getsockname()[1]
    children = set()
    for rank in range(world_size):
        child = os.fork()
        if child == 0:
            os.environ.update(
                RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(world_size),
                MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port),
            )  # fmt: skip
            return rank
        children.add(child)
    failed = False
    while children:
        child, status = os.wait()
        children.discard(child)
        if status and not failed:
            failed = True
            for other in children:
                os.kill(other, signal.SIGKILL)
    os._exit(int(failed))


def torchrun(
    trainer: Trainer, project: Project, ranks: int, *arguments: str, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run `torchrun arguments... -opt train.yml --launcher pytorch` in the project's folder.

    The agent is a fork of the trainer; the ranks that it starts are processes that import everything themselves.

    Args:
        trainer: Starts the agent.
        project: Whose folder has a train.yml.
        ranks: Their number.
        arguments: A script, or -m with a module and its arguments.
        check: Whether an exit code other than 0 is an error.
    """
    agent = ['torch.distributed.run', f'--nproc_per_node={ranks}', '--rdzv_backend=c10d', '--rdzv_endpoint=localhost:0']
    options = ['-opt', 'train.yml', '--launcher', 'pytorch']
    return trainer.launch(project, '-m', *agent, '--master_port=0', *arguments, *options, check=check)

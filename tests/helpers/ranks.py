"""Several ranks for the price of one import: a script that forks into them and meets itself again through gloo."""

from __future__ import annotations

import os
import signal
import socket


def fork_ranks(world_size: int) -> int:
    """Returns once in each of `world_size` forked processes, with its rank and with the environment that torchrun sets.

    The process that called ends when they have: with 0 if all did, and with 1, the others killed, as soon as one fails
    (they would wait for it).
    """
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
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

"""Reasons in words why something of the host could not be timed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mg_basicsr.errors import MultigridError
from mg_basicsr.host.trial.blame import HOST_ERRORS

MESSAGE_LENGTH = 200


class NotTimed(Exception):
    """Reason why something was not timed, in words."""


def reason_of(error: BaseException) -> str:
    """Return kind and message of an exception on one line, without the traceback that one of a worker holds."""
    if isinstance(error, MultigridError):
        return error.problems[0].what
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    kind = type(error).__name__
    if lines and lines[0].startswith(f'Caught {kind} in '):  # of torch, with the traceback of the worker
        lines = lines[-1:] if lines[-1].startswith(kind) else [line for line in lines if line.startswith(kind)] or lines
    text = ' '.join(' '.join(lines).split())
    return (text if text.startswith(kind) else f'{kind}: {text}' if text else kind)[:MESSAGE_LENGTH]


@contextmanager
def reasons(what: str) -> Iterator[None]:
    """Return a context that turns any error of the host into the reason why it was not timed.

    Args:
        what: What the host could not make or use.

    Raises:
        NotTimed: the body has raised any error.
    """
    try:
        yield
    except NotTimed:
        raise
    except HOST_ERRORS as error:  # of any kind: it is the host's own code
        raise NotTimed(f'BasicSR cannot use {what}: {reason_of(error)}') from None

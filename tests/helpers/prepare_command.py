"""`mg-basicsr prepare` in this process, and what it has put into a store."""

from __future__ import annotations

from pathlib import Path

import pytest

from mg_basicsr.cli.main import main
from mg_basicsr.data.store.reader import StoreFrames


def prepare(*arguments: object) -> int:
    """Run the command with one worker, and return its exit code."""
    with pytest.raises(SystemExit) as ended:
        main(['prepare', *map(str, arguments), '--workers', '1'])
    return int(ended.value.code or 0)


def names(store: Path) -> list[str]:
    """Return the names of a store's clips, in order."""
    return [clip.name for clip in StoreFrames(store).clips]

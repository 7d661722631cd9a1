"""What a user is told about an options file that cannot be planned."""

from __future__ import annotations

from typing import Any

import pytest

from mg_basicsr.errors import ConfigError, Problem
from tests.helpers.stock_options import resolved


def problems_of(options: dict[str, Any], world_size: int | None = None) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        resolved(options, world_size)
    return caught.value.problems


def check_problems(problems: tuple[Problem, ...], what: str, allowed: str, remedy: str) -> None:
    """One problem in three lines: what (path and value), what is allowed, what to do."""
    assert len(problems) == 1, problems
    assert str(problems[0]).startswith(what)
    assert allowed in problems[0].allowed
    assert remedy in problems[0].remedy
    assert all(problems[0])
    assert len(str(problems[0]).splitlines()) == 3

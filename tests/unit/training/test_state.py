"""What can be reached from an object that holds others of every kind."""

from __future__ import annotations

from typing import Any

from mg_basicsr.training.state import modules_of, reachable


class Proxy:
    """Stands for another object, module included, as proxies of libraries do: on the class it is a descriptor."""

    def __init__(self, stands_for: Any) -> None:
        self.stands_for = stands_for

    __module__ = property(lambda self: type(self.stands_for).__module__)  # type: ignore[assignment]


def test_a_class_whose_module_is_a_descriptor() -> None:
    kept = [1.0]
    found = list(reachable({'class': Proxy, 'object': Proxy([]), 'list': kept}))
    assert any(value is kept for value in found)
    assert modules_of(found) == {}

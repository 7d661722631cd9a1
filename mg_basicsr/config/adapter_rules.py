"""Rules of the adapter: what of a sample runs along its frames, and what shows its pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mg_basicsr.config.keys import COUNT, section_schema
from mg_basicsr.parsing.problems import Problems, read_section, reads
from mg_basicsr.parsing.values import accepts, boolean, choice, list_of, text

KEYS = list_of(text, 'a list of keys of the samples, such as [flow], or []', empty=True)


@dataclass(frozen=True)
class AdapterRules:
    """Rules by which samples of the host's own dataset are cut to a smaller shape.

    Attributes:
        time: Keys that run along the clip's frames beside `lq` and `gt`, and no others do; None to decide by lengths.
            A key inside another is written with a point, `meta.flow`.
        space: Keys that show the pixels of `lq` or `gt`, likewise; None to decide by sizes.
        start: Which frames a shorter clip has: the first ones, or from a random one on.
        frames: Frames of a whole sample, where `num_frame` does not say them.
        repeatable: Whether a dataset is refused whose samples depend on what was read before; otherwise it is logged.
    """

    time: tuple[str, ...] | None = None
    space: tuple[str, ...] | None = None
    start: str = 'first'
    frames: int | None = None
    repeatable: bool = True


ADAPTER_KEYS = {
    'time': reads(KEYS),
    'space': reads(KEYS),
    'start': reads(choice('first', 'random')),
    'frames': reads(COUNT),
    'repeatable': reads(boolean),
}


@accepts(section_schema(ADAPTER_KEYS, (), AdapterRules))
def read_adapter(path: str, value: Any, problems: Problems) -> AdapterRules | None:
    """Read `{time, space, start, frames, repeatable}`, each of them optional.

    Args:
        path: Dotted path of the section.
        value: What is there.
        problems: Where problems are added.
    """
    values = read_section(path, value, ADAPTER_KEYS, (), problems)
    return None if values is None else AdapterRules(**values)

"""Needs of the networks of an options file: the shapes that all of them take, with the network behind each limit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import gcd, lcm
from typing import Any, NamedTuple

from mg_basicsr.config.networks import NETWORKS, Network

SECTION = 'network_'
SUFFIX = '_basicsr'  # BasicSR's registry also finds a name with it


class Limit(NamedTuple):
    """Limit of a shape.

    Attributes:
        value: Pixels, frames, or a rate.
        network: Type of the network that sets it; empty if none does.
    """

    value: float
    network: str

    @property
    def whole(self) -> int:
        """Return the value as an integer."""
        return int(self.value)


@dataclass(frozen=True)
class Needs:
    """Shapes that the networks of a file take. Sizes are LQ pixels.

    Attributes:
        networks: Types of the networks.
        unknown: Those that are not in the table.
        smallest: Smallest size.
        multiple: Number that sizes must be a multiple of.
        only: The one size that a network takes; None for any.
        frames: The one number of frames that a network takes; None for any.
        min_frames: Shortest clip.
        small_lr_max: Highest rate of stages below the full crop size; None for the file's own.
        why_lr: Reason of it.
        second_phase: Dotted path of the option that marks a second phase of training; empty for a first one.
        kinds: Kinds of the networks that are in the table.
    """

    networks: tuple[str, ...]
    unknown: tuple[str, ...]
    smallest: Limit
    multiple: Limit
    only: Limit | None
    frames: Limit | None
    min_frames: Limit
    small_lr_max: Limit | None
    why_lr: str
    second_phase: str
    kinds: frozenset[str]

    def takes(self, lq_size: int) -> bool:
        """Return whether the networks take an LQ size, as far as the table shows."""
        if self.only is not None:
            return lq_size == self.only.whole
        return lq_size >= self.smallest.whole and lq_size % self.multiple.whole == 0

    def smallest_crop(self, full: int) -> int:
        """Return the smallest LQ size up to the full one that all networks take; the full one if there is none."""
        return next((size for size in range(self.smallest.whole, full) if self.takes(size)), full)


def needs_of(options: Mapping[str, Any], scale: int) -> Needs:
    """Return the needs of the networks of an options file.

    Args:
        options: The whole file.
        scale: GT pixels per LQ pixel and axis; discriminators see GT.
    """
    found = list(_networks(options))
    known = [(path, name, entry, section) for path, name, entry, section in found if entry is not None]
    smallest, multiple, min_frames = Limit(1, ''), Limit(1, ''), Limit(1, '')
    only = frames = rate = None
    for _, name, entry, _ in known:
        smallest = max(smallest, Limit(_on_lq(entry, entry.smallest, scale), name), key=lambda limit: limit.value)
        step = _multiple_on_lq(entry, scale)
        if multiple.whole % step:
            multiple = Limit(lcm(multiple.whole, step), name)
        min_frames = max(min_frames, Limit(entry.min_frames, name), key=lambda limit: limit.value)
        only = Limit(_on_lq(entry, entry.only, scale), name) if entry.only else only
        frames = Limit(entry.frames, name) if entry.frames else frames
        rate = Limit(entry.small_lr_max, name) if entry.small_lr_max else rate
    return Needs(
        networks=tuple(name for _, name, _, _ in found),
        unknown=tuple(name for _, name, entry, _ in found if entry is None),
        smallest=smallest,
        multiple=multiple,
        only=only,
        frames=frames,
        min_frames=min_frames,
        small_lr_max=rate,
        why_lr=next((entry.why_lr for _, _, entry, _ in known if entry.why_lr), ''),
        second_phase=next((phase for item in known if (phase := _second_phase(options, *item))), ''),
        kinds=frozenset(entry.kind for _, _, entry, _ in known),
    )


def _networks(options: Mapping[str, Any]) -> Iterator[tuple[str, str, Network | None, Mapping[str, Any]]]:
    """Yield section, type and entry of each network; the entry is None if the table has none."""
    for path, section in options.items():
        if isinstance(path, str) and path.startswith(SECTION) and isinstance(section, Mapping):
            name = section.get('type')
            if isinstance(name, str):
                entry = NETWORKS.get(name.removesuffix(SUFFIX))
                yield path, name, entry.as_built(section) if entry else None, section


def _on_lq(network: Network, size: int, scale: int) -> int:
    """Return an input size of a network in LQ pixels, rounded up."""
    return -(-size // scale) if network.kind == 'discriminator' else size


def _multiple_on_lq(network: Network, scale: int) -> int:
    """Return the number that LQ sizes must be a multiple of for a network's inputs."""
    return network.multiple // gcd(network.multiple, scale) if network.kind == 'discriminator' else network.multiple


def _second_phase(options: Mapping[str, Any], path: str, name: str, entry: Network, section: Mapping[str, Any]) -> str:
    """Return the option that marks a second phase: the part that it adds is on, and weights of a first phase are given.

    Without an iteration at which the rest is freed, and without weights, the network is trained at once.
    """
    train, paths = options.get('train'), options.get('path')
    pretrained = isinstance(paths, Mapping) and bool(paths.get(f'pretrain_{path}'))
    freed = isinstance(train, Mapping) and any(train.get(key) for key in entry.frozen)
    added = bool(entry.second_phase) and bool(section.get(entry.second_phase, True))
    return f'{path}.{entry.second_phase}' if added and (pretrained or freed) else ''

"""Seeded permutations of 0 .. n-1 without a list: O(1) memory and time per element for any n.

>>> order = Permutation(size=10, seed=3)
>>> sorted(order(index) for index in range(10))
[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
>>> 0 <= Permutation(size=10**12, seed=3)(7) < 10**12  # nothing of this size is made
True
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import isqrt

_MASK = (1 << 64) - 1
_ROUNDS = 6


def mix(*words: int) -> int:
    """Return a 64-bit hash of integers: the finaliser of SplitMix64 (Steele, Lea, Flood 2014), word by word."""
    state = 0
    for word in words:
        state = (state + word + 0x9E3779B97F4A7C15) & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        state ^= state >> 31
    return state


def _round(key: int, value: int) -> int:
    """Return a keyed hash, the round function of the Feistel network; as cheap as Python allows."""
    state = ((value + key) * 0xBF58476D1CE4E5B9) & _MASK
    return (((state ^ (state >> 32)) * 0x94D049BB133111EB) & _MASK) >> 16


@dataclass(frozen=True)
class Permutation:
    """Bijection of range(size) onto itself, chosen by a seed.

    A Feistel network on numbers left + rows * right (0 <= left < rows, 0 <= right < columns) with modular addition, so
    that its domain rows * columns is hardly larger than `size`; an image outside `size` is mapped again until it is
    inside (cycle walking, Black and Rogaway 2002), which keeps it a bijection.

    Attributes:
        size: Number of elements, >= 1.
        seed: Chooses the permutation; any integer.
    """

    size: int
    seed: int

    @cached_property
    def _grid(self) -> tuple[int, int, tuple[int, ...]]:
        rows = isqrt(self.size - 1) + 1
        columns = -(-self.size // rows)
        return rows, columns, tuple(mix(self.seed, n) for n in range(_ROUNDS))

    def __call__(self, index: int) -> int:
        """Return the image of index, 0 <= index < size."""
        rows, columns, keys = self._grid
        while True:
            left, right = index % rows, index // rows
            for n, key in enumerate(keys):
                if n % 2 == 0:
                    left = (left + _round(key, right)) % rows
                else:
                    right = (right + _round(key, left)) % columns
            index = left + rows * right
            if index < self.size:
                return index

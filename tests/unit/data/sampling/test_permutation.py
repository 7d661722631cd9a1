"""The permutation that needs no list."""

from __future__ import annotations

import random
import tracemalloc
from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mg_basicsr.data.sampling.permutation import Permutation, mix

SEEDS = st.integers(0, 2**64 - 1)


@pytest.mark.parametrize('size', range(1, 301))
def test_a_bijection_of_any_small_size(size: int) -> None:
    for seed in (0, 1, 2**64 - 1):
        order = Permutation(size, seed)
        assert sorted(order(i) for i in range(size)) == list(range(size))


@settings(max_examples=20)
@given(size=st.integers(301, 10_000), seed=SEEDS)
@example(size=64_612, seed=0)  # Vimeo-90K
@example(size=2**14, seed=1)
@example(size=2**14 + 1, seed=1)
def test_a_bijection_of_larger_sizes(size: int, seed: int) -> None:
    order = Permutation(size, seed)
    assert len({order(i) for i in range(size)}) == size
    assert max(order(i) for i in range(size)) == size - 1


@given(size=st.integers(1, 10**12), seed=SEEDS, data=st.data())
def test_images_of_huge_sizes_are_inside_and_distinct(size: int, seed: int, data: st.DataObject) -> None:
    order = Permutation(size, seed)
    indices = data.draw(st.sets(st.integers(0, size - 1), min_size=1, max_size=20))
    images = {order(i) for i in indices}
    assert len(images) == len(indices)
    assert all(0 <= image < size for image in images)


def test_a_billion_by_samples() -> None:
    """Of 10^9 elements no list can be made; 50,000 images at random and 50,000 in a row are distinct and evenly spread.

    A random function would give 1.25 pairs of equal images in each (count^2 / 2 size). Chi-square over 1,000 buckets:
    999 is expected, 45 its deviation.
    """
    size, count, buckets = 10**9, 50_000, 1000
    order = Permutation(size, 11)
    for indices in (random.Random(0).sample(range(size), count), range(size // 3, size // 3 + count)):
        images = [order(index) for index in indices]
        assert len(set(images)) == count
        counts = Counter(image * buckets // size for image in images)
        expected = count / buckets
        assert abs(sum((counts[n] - expected) ** 2 / expected for n in range(buckets)) - (buckets - 1)) < 6 * 45
        assert abs(correlation(list(indices), images)) < 5 / count**0.5


@given(size=st.integers(1, 10**9), seed=SEEDS, data=st.data())
def test_it_is_a_function_of_size_and_seed(size: int, seed: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    assert Permutation(size, seed)(index) == Permutation(size, seed)(index)


def test_seeds_give_different_orders() -> None:
    orders = {tuple(map(Permutation(50, seed), range(50))) for seed in range(200)}
    assert len(orders) == 200


@pytest.mark.parametrize('size', [2, 3, 5, 10, 20])
def test_every_image_is_as_likely_at_every_index(size: int) -> None:
    """Chi-square over seeds; 1.0 per degree of freedom is expected, more than 1.3 would be chance once in a billion."""
    seeds = 300 * size
    counts = [[0] * size for _ in range(size)]
    for seed in range(seeds):
        order = Permutation(size, mix(seed))
        for index in range(size):
            counts[index][order(index)] += 1
    expected = seeds / size
    deviation = sum((count - expected) ** 2 / expected for row in counts for count in row)
    freedom = (size - 1) ** 2
    assert deviation / freedom < 1 + 6 * (2 / freedom) ** 0.5


@pytest.mark.parametrize('size', [1000, 26_599])
def test_neighbours_are_not_related(size: int) -> None:
    """Neither an image with its index nor with the images before it (a row of the Feistel network included)."""
    order = [Permutation(size, 5)(i) for i in range(size)]
    row = int((size - 1) ** 0.5) + 1
    assert abs(correlation(list(range(size)), order)) < 5 / size**0.5
    for lag in (1, 2, 3, row, row + 1):
        assert abs(correlation(order[:-lag], order[lag:])) < 5 / size**0.5


def correlation(a: list[int], b: list[int]) -> float:
    n = len(a)
    mean_a, mean_b = sum(a) / n, sum(b) / n
    covariance = sum((x - mean_a) * (y - mean_b) for x, y in zip(a, b, strict=True))
    spread = sum((x - mean_a) ** 2 for x in a) * sum((y - mean_b) ** 2 for y in b)
    return float(covariance / spread**0.5)


def test_memory_does_not_grow_with_the_size() -> None:
    rng = random.Random(0)
    tracemalloc.start()
    order = Permutation(10**9, 3)
    for _ in range(1000):
        order(rng.randrange(10**9))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20


def test_mix() -> None:
    """A 64-bit function of all words, in order."""
    assert mix(1, 2) != mix(2, 1)
    assert mix(1) != mix(1, 0)
    values = {mix(seed, stream, position) for seed in range(10) for stream in range(3) for position in range(100)}
    assert len(values) == 3000
    assert all(0 <= value < 2**64 for value in values)
    ones = sum(bin(value).count('1') for value in values) / len(values)
    assert abs(ones - 32) < 0.5

"""Pairs that two rankings order alike, counted without looking at each of the n^2 pairs: in about n log n steps.

The method is that of Knight (1966, JASA 61), a merge sort that counts: in the order of the first ranking, halves are
put together by the second one, and each element learns how many of the other half it passes. All counts are whole
numbers, so they are those of the pairs one by one.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["alike", "untied"]

Places = NDArray[np.int64]
Counts = NDArray[np.int64]


def alike(first: Places, second: Places) -> Counts:
    """Returns for each element i the sum over all others j of sign(first_i - first_j) sign(second_i - second_j).

    Args:
        first, second: (n,) whole numbers from 0.
    """
    order = np.lexsort((second, first))
    column = second[order]
    found, most = np.zeros(len(column), dtype=np.int64), int(column.max(initial=0)) + 1
    for half, block, left, right in _halves(len(column)):
        # within blocks by value: a block's values lie above those of the block before
        lefts, rights = (block[side] * most + column[side] for side in (left, right))
        ordered_lefts, ordered_rights = np.sort(lefts), np.sort(rights)
        before = block[right] * half  # elements of the left halves of earlier blocks; a left half with a right is full
        found[right] += _around(ordered_lefts, rights) - 2 * before - half
        first_right = np.searchsorted(ordered_rights, block[left] * most)
        after = np.searchsorted(ordered_rights, (block[left] + 1) * most)
        found[left] += first_right + after - _around(ordered_rights, lefts)
    # those tied in the first ranking were ordered by the second one, and count nothing
    both = np.unique(np.stack([first, second]), axis=1, return_inverse=True)[1].ravel()
    back = np.empty_like(found)
    back[order] = found
    return back - (untied(both) - untied(first))


def untied(places: Places) -> Counts:
    """Returns for each element how many others are not tied with it."""
    return np.asarray(len(places) - np.bincount(places)[places])


def _around(ordered: NDArray[np.int64], values: NDArray[np.int64]) -> Counts:
    """Returns how many are below each value, and how many at most as high, added up."""
    return np.asarray(np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right"))


def _halves(count: int) -> Iterator[tuple[int, Places, Places, Places]]:
    """Yields the size of a half, the block of each place, and the places in left halves and in right ones."""
    places, half = np.arange(count), 1
    while half < count:
        on_the_right = (places // half) % 2 == 1
        yield half, places // (2 * half), np.flatnonzero(~on_the_right), np.flatnonzero(on_the_right)
        half *= 2

"""Trees as tables of bits: which leaves a row may still end in, looked up by each of its inputs.

A bit stands for each leaf, and a row of a table holds the leaves that the values of one input leave over, in all trees
at once. What all inputs leave over is one leaf a tree. After C. Lucchese et al., "QuickScorer: A Fast Algorithm to Rank
Documents with Additive Ensembles of Regression Trees", SIGIR 2015, with both sides of a split in the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEAVES = 32
"""Bits of a word; a tree with more leaves has several words, of which one is not zero in the end."""
MOST_BYTES = 64_000_000
MERGED_ROWS = 512
"""Inputs of few values share a table for all of their combinations, up to so many rows."""
CHUNK_ROWS = 2048
EXPONENT = 127
"""What IEEE 754 adds to the exponent of a 32-bit float: of a word with one bit it is the number of the bit."""


class TooLarge(ValueError):
    """Tables for these trees would take more memory than ``MOST_BYTES``."""


@dataclass(frozen=True, slots=True)
class Tree:
    """Nodes as arrays of shape (nodes,): a row goes ``left`` where its ``feature`` is at most ``threshold``.

    ``feature`` is a column of the encoded rows, -1 at a leaf, which has a ``value``. The first node is the root.
    """

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray


@dataclass(frozen=True, slots=True)
class Tables:
    """``merged`` says which inputs have a table together, and ``steps`` how their codes make its row."""

    edges: tuple[np.ndarray, ...]
    """For each number the values between which the trees do not tell it apart, ascending."""
    merged: tuple[tuple[int, ...], ...]
    steps: tuple[tuple[int, ...], ...]
    bits: tuple[np.ndarray, ...]
    """Of shape (rows, words)."""
    offsets: np.ndarray
    """Of shape (words,): where the values of each word begin, less ``EXPONENT``."""
    values: np.ndarray
    """Flat: for each word 0 for no leaf, then those of its leaves."""

    def bins(self, numbers: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The codes of numbers."""
        return [np.searchsorted(edges, values) for edges, values in zip(self.edges, numbers, strict=True)]

    def total(self, codes: Sequence[np.ndarray]) -> np.ndarray:
        """The sum of the leaves' values over all trees, of shape (rows,); ``codes`` has an array for each input."""
        places = [_joint(codes, group, steps) for group, steps in zip(self.merged, self.steps, strict=True)]
        rows = len(codes[0])
        if rows <= CHUNK_ROWS:
            return self._total(places)
        chunks = (slice(start, start + CHUNK_ROWS) for start in range(0, rows, CHUNK_ROWS))
        return np.concatenate([self._total([place[chunk] for place in places]) for chunk in chunks])

    def _total(self, places: Sequence[np.ndarray]) -> np.ndarray:
        left = self.bits[0].take(places[0], axis=0)
        for bits, place in zip(self.bits[1:], places[1:], strict=True):
            left &= bits.take(place, axis=0)
        leaf = left.astype(np.float32).view(np.int32) >> 23  # 0 where no leaf of the word is left
        np.maximum(leaf, EXPONENT - 1, out=leaf)
        leaf += self.offsets
        return np.asarray(self.values.take(leaf).sum(axis=1))


def _joint(codes: Sequence[np.ndarray], group: Sequence[int], steps: Sequence[int]) -> np.ndarray:
    """The row, in the table of a group, of the codes of its members."""
    place = codes[group[0]] * steps[0]
    for one, step in zip(group[1:], steps[1:], strict=True):
        place = place + codes[one] * step
    return place


def tables(trees: Sequence[Tree], values: Sequence[np.ndarray], edges: Sequence[np.ndarray]) -> Tables:
    """The tables of ``trees``; ``values`` are, for each input, what its codes stand for.

    An input's values are of shape (codes, encoded columns), NaN in the columns of other inputs. Raises ``TooLarge``.
    """
    counts = [int((tree.feature < 0).sum()) for tree in trees]
    starts = np.cumsum([0, *(-(-count // LEAVES) * LEAVES for count in counts)])
    leaves = int(starts[-1])
    if (size := sum(map(len, values)) * leaves) > MOST_BYTES * 8:
        raise TooLarge(f"tables of {size / 8e6:.0f} MB")
    inputs = {
        column: number for number, one in enumerate(values) for column in np.flatnonzero(~np.isnan(one[0])).tolist()
    }
    real = np.concatenate([np.arange(-(-count // LEAVES) * LEAVES) < count for count in counts])
    alive = [np.tile(real, (len(one), 1)) for one in values]
    flat = np.zeros(leaves)
    for tree, start in zip(trees, starts, strict=False):
        _mark(tree, int(start), alive, values, inputs, flat)
    used = sorted({inputs[column] for tree in trees for column in tree.feature if column >= 0}) or [0]
    packed = [np.packbits(alive[one], axis=1, bitorder="little").view("<u4").astype(np.uint32) for one in used]
    found = np.hstack([np.zeros((leaves // LEAVES, 1)), flat.reshape(-1, LEAVES)]).ravel()
    # Bit n of a word is 2**n, whose exponent is n; no bit is one less.
    offsets = np.arange(leaves // LEAVES, dtype=np.int32) * (LEAVES + 1) - (EXPONENT - 1)
    return Tables(tuple(edges), *_merge(used, packed), offsets, found)


def _mark(
    tree: Tree,
    start: int,
    alive: list[np.ndarray],
    values: Sequence[np.ndarray],
    inputs: dict[int, int],
    flat: np.ndarray,
) -> None:
    """Take from each code of each input the leaves that it excludes; the leaves are numbered from left to right."""
    leaf = start
    first: dict[int, int] = {}
    pending = [(0, False)]
    while pending:
        node, seen = pending.pop()
        if tree.feature[node] < 0:
            flat[leaf], first[node], leaf = tree.value[node], leaf, leaf + 1
        elif not seen:
            pending += [(node, True), (int(tree.right[node]), False), (int(tree.left[node]), False)]
        else:
            left, right = first[int(tree.left[node])], first[int(tree.right[node])]
            first[node] = left
            one = inputs[int(tree.feature[node])]
            goes_left = values[one][:, tree.feature[node]] <= tree.threshold[node]
            alive[one][~goes_left, left:right] = False
            alive[one][goes_left, right:leaf] = False


def _merge(
    used: Sequence[int], packed: Sequence[np.ndarray]
) -> tuple[tuple[tuple[int, ...], ...], tuple[tuple[int, ...], ...], tuple[np.ndarray, ...]]:
    """Tables that are small are joined, the smallest first, since a look-up costs the same in each."""
    groups: list[tuple[list[int], list[int], np.ndarray]] = []
    for one, bits in sorted(zip(used, packed, strict=True), key=lambda pair: len(pair[1])):
        last = groups[-1] if groups else None
        if last and len(last[2]) * len(bits) <= MERGED_ROWS:
            members, steps, joined = last
            groups[-1] = (
                [*members, one],
                [*(step * len(bits) for step in steps), 1],
                (joined[:, None, :] & bits[None, :, :]).reshape(-1, bits.shape[1]),
            )
        else:
            groups.append(([one], [1], bits))
    return (
        tuple(tuple(members) for members, _, _ in groups),
        tuple(tuple(steps) for _, steps, _ in groups),
        tuple(np.ascontiguousarray(bits) for _, _, bits in groups),
    )

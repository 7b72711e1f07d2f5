"""Shapley values of trees, exactly, for the inputs before their encoding.

The game is the interventional one: an input that is absent has the value that it has in a background row, and the
worth is the mean over the background. For one row x, one background row z and one leaf of value v, only these inputs on
the leaf's path matter: A, whose conditions only x meets, and B, whose conditions only z meets. If the rest are met by
both, each input of A gets v · (|A|-1)! |B|! / (|A|+|B|)! and each of B gets -v · |A|! (|B|-1)! / (|A|+|B|)!; else the
leaf is out of reach (H. Chen, S. Lundberg, S.-I. Lee, "Explaining Models by Propagating Shapley Values of Local
Components", 2019, and S. Lundberg et al., "From local explanations to global understanding with explainable AI for
trees", Nature Machine Intelligence 2 (2020), 56-67, algorithm 3).

What is here adds two things. The conditions of all encoded columns of one input count as one, so that the values are
those of the input and not a sum over its columns. And rows are grouped by which inputs of a path they meet: there are
few such patterns, so that the time for a background row more is next to nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import beta
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

ROWS_AT_ONCE = 10_000
LONGEST = 62
"""Inputs on one path: a pattern is an integer with a bit for each."""
DENSE = 14
"""Up to so many inputs, patterns are counted in a table of all there could be."""


@dataclass(frozen=True)
class Tree:
    """Nodes by number, the root is 0; a row goes left where its column is at most the threshold.

    A leaf has no child on the left (-1). Arrays are of shape (nodes,), ``value`` is in the unit of the output.
    """

    left: np.ndarray
    right: np.ndarray
    column: np.ndarray
    threshold: np.ndarray
    value: np.ndarray


def trees_of(estimator: Any) -> list[Tree]:
    """The trees whose values add up to the estimator's output, but for a constant.

    For a decision tree or forest the probability of the positive class, for boosting its log-odds.
    """
    match estimator:
        case HistGradientBoostingClassifier():
            return [_boosted(predictor.nodes) for (predictor,) in estimator._predictors]
        case RandomForestClassifier():
            return [_grown(tree, len(estimator.estimators_)) for tree in estimator.estimators_]
        case DecisionTreeClassifier():
            return [_grown(estimator, 1)]
    raise TypeError(f"{type(estimator).__name__} is not made of trees that are known here")


def _boosted(nodes: np.ndarray) -> Tree:
    leaf = nodes["is_leaf"].astype(bool)
    left = np.where(leaf, -1, nodes["left"].astype(np.int64))
    return Tree(left, nodes["right"], nodes["feature_idx"], nodes["num_threshold"], nodes["value"])


def _grown(estimator: DecisionTreeClassifier, of: int) -> Tree:
    tree = estimator.tree_
    counts = tree.value[:, 0, :]
    value = counts[:, 1] / counts.sum(axis=1) / of
    return Tree(tree.children_left, tree.children_right, tree.feature, tree.threshold, value)


def shapley_values(estimator: Any, rows: np.ndarray, background: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Shapley values, of shape (rows, inputs), of encoded rows; ``groups`` is the one of ``Explained``."""
    trees = trees_of(estimator)
    if not isinstance(estimator, HistGradientBoostingClassifier):
        rows, background = rows.astype(np.float32), background.astype(np.float32)  # as scikit-learn compares them
    values = np.zeros((groups.max() + 1, len(rows)))
    for start in range(0, len(rows), ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        together = np.asfortranarray(np.concatenate([background, rows[part]]))
        for tree in trees:
            for path, patterns, value in _leaves(tree, together, groups):
                _add_leaf(path, patterns, value, len(background), values[:, part])
    return values.T


def _leaves(tree: Tree, rows: np.ndarray, groups: np.ndarray) -> Iterator[tuple[list[int], np.ndarray, float]]:
    """For each leaf the inputs on its path, of each row the pattern of those whose conditions it meets, the value."""
    ahead: list[tuple[int, list[int], np.ndarray]] = [(0, [], np.zeros(len(rows), dtype=np.int64))]
    while ahead:
        node, path, patterns = ahead.pop()
        if tree.left[node] < 0:
            yield path, patterns, float(tree.value[node])
            continue
        group = int(groups[tree.column[node]])
        met = rows[:, tree.column[node]] <= tree.threshold[node]
        on = path if group in path else [*path, group]
        if len(on) > LONGEST:
            raise ValueError(f"a path of the tree asks for more than {LONGEST} inputs")
        bit = 1 << on.index(group)
        for child, meets in ((tree.left[node], met), (tree.right[node], ~met)):
            found = np.where(meets, patterns, patterns & ~bit) if on is path else patterns | meets * bit
            ahead.append((int(child), on, found))


def _add_leaf(path: list[int], patterns: np.ndarray, value: float, background: int, values: np.ndarray) -> None:
    """Add one leaf's share to ``values``; the first ``background`` of ``patterns`` are those of the background."""
    z, z_of = _distinct(patterns[:background], len(path))
    x, x_of = _distinct(patterns[background:], len(path))
    weight = value * np.bincount(z_of) / background
    places = np.arange(len(path))
    x_misses, z_misses = ((~one[:, None] >> places) & 1 for one in (x, z))
    b, a = x_misses.sum(axis=1), z_misses.sum(axis=1)
    # Where each condition is met by one of the two, what z misses is A and what x misses is B.
    in_reach = (x[:, None] | z) == (1 << len(path)) - 1
    gain = (in_reach * _GAIN[b][:, a]) @ (weight[:, None] * z_misses)
    loss = (in_reach * _LOSS[b][:, a]) @ weight
    share = np.where(x_misses, -loss[:, None], gain)
    for group, column in zip(path, np.ascontiguousarray(share.T), strict=True):
        values[group] += column[x_of]


def _distinct(patterns: np.ndarray, inputs: int) -> tuple[np.ndarray, np.ndarray]:
    """The patterns that occur, and which of them each row has."""
    if inputs > DENSE:
        return np.unique(patterns, return_inverse=True)
    present = np.flatnonzero(np.bincount(patterns, minlength=1 << inputs))
    place = np.empty(1 << inputs, dtype=np.intp)
    place[present] = np.arange(len(present))
    return present, place[patterns]


_a, _b = np.ogrid[: LONGEST + 1, : LONGEST + 1]
# Indexed by |B| and |A|; (|A|-1)! |B|! / (|A|+|B|)! is Euler's beta function of |A| and |B| + 1.
_LOSS = np.where(_a > 0, beta(np.maximum(_a, 1), _b + 1.0), 0.0)
_GAIN = _LOSS.T.copy()

"""A shallow tree that stands for the model: rules a person can read, with how far they can be trusted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import spearmanr
from sklearn.metrics import r2_score
from sklearn.tree import DecisionTreeRegressor

from include.explanation.reasons import as_text

DEPTH = 3
LEAF_SHARE = 0.02
"""No rule is about fewer of the rows."""
LEAST_GAIN = 1e-9
"""A split that lowers the variance of the scores by less follows rounding errors."""


@dataclass(frozen=True)
class Node:
    """``score`` is the mean of the model's scores in it, ``share`` how many of the rows it was fitted on it has.

    ``condition`` leads to ``yes``, its opposite to ``no``; a leaf has none of the three.
    """

    score: float
    share: float
    condition: str = ""
    opposite: str = ""
    yes: Node | None = None
    no: Node | None = None


@dataclass(frozen=True)
class Surrogate:
    """The fidelity is measured on ``rows`` rows that the tree was not fitted on, against the model's scores.

    ``r2`` is the share of their variance that the tree explains, ``rank_agreement`` Spearman's rank correlation; NaN
    where either does not vary.
    """

    root: Node
    r2: float
    rank_agreement: float
    fitted_on: int
    rows: int

    @property
    def rules(self) -> list[str]:
        """One line for each leaf, from the highest score down."""
        leaves = sorted(_leaves(self.root, []), key=lambda found: -found[1].score)
        return [f"{' and '.join(path) or 'always'}: {leaf.score:.3f} ({leaf.share:.0%})" for path, leaf in leaves]


def distil(fit: pd.DataFrame, fit_scores: np.ndarray, test: pd.DataFrame, test_scores: np.ndarray) -> Surrogate:
    """Fit a tree to ``fit_scores``, the model's scores of the inputs ``fit``, and measure it on ``test``."""
    columns = _columns(fit)
    fewest = max(1, int(LEAF_SHARE * len(fit)))
    tree = DecisionTreeRegressor(
        max_depth=DEPTH, min_samples_leaf=fewest, min_impurity_decrease=LEAST_GAIN, random_state=0
    )
    tree.fit(_encode(fit, columns), fit_scores)
    guessed = tree.predict(_encode(test, columns))
    varies = min(np.ptp(guessed), np.ptp(test_scores)) > 0
    r2, rank = (r2_score(test_scores, guessed), spearmanr(test_scores, guessed)[0]) if varies else (np.nan, np.nan)
    return Surrogate(_node(tree.tree_, 0, columns), float(r2), float(rank), len(fit), len(test))


def _columns(frame: pd.DataFrame) -> list[tuple[str, str | None]]:
    """A number as it is, a category as one column for each of its values."""
    return [
        (name, value)
        for name in frame.columns
        for value in ([None] if frame[name].dtype == np.float64 else sorted(frame[name].astype(object).unique()))
    ]


def _encode(frame: pd.DataFrame, columns: list[tuple[str, str | None]]) -> np.ndarray:
    return np.column_stack(
        [frame[name] if value is None else (frame[name].astype(object) == value) for name, value in columns]
    ).astype(np.float32)


def _node(tree: object, number: int, columns: list[tuple[str, str | None]]) -> Node:
    t = tree  # scikit-learn's arrays of nodes
    score, share = float(t.value[number].item()), float(t.n_node_samples[number] / t.n_node_samples[0])  # type: ignore[attr-defined]
    left, right = int(t.children_left[number]), int(t.children_right[number])  # type: ignore[attr-defined]
    if left < 0:
        return Node(score, share)
    name, value = columns[t.feature[number]]  # type: ignore[attr-defined]
    low, high = _node(tree, left, columns), _node(tree, right, columns)
    if value is not None:
        return Node(score, share, f"{name} is {value}", f"{name} is not {value}", high, low)
    cut = as_text(float(t.threshold[number]))  # type: ignore[attr-defined]
    # Where a number is missing the tree says which way; both directions name the number alone.
    return Node(score, share, f"{name} ≤ {cut}", f"{name} > {cut}", low, high)


def _leaves(node: Node, path: list[str]) -> Iterator[tuple[list[str], Node]]:
    if node.yes is None or node.no is None:
        yield path, node
        return
    yield from _leaves(node.yes, [*path, node.condition])
    yield from _leaves(node.no, [*path, node.opposite])

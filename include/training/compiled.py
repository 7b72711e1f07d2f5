"""A pipeline as arrays that are looked up and added, without scikit-learn: one row in a tenth of a millisecond.

The arrays are taken from the fitted pipeline when it is loaded, so there is no second model that could differ in what
it was made of. What they answer is scikit-learn's answer but for the order of additions; the gate compares all scores
of the hold-out. A pipeline that is not known here, or too large, is answered by scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.calibration import CalibratedClassifierCV, _SigmoidCalibration
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from include.training import lookup
from include.training.lookup import Tables, TooLarge, Tree
from include.training.preparation import CATEGORIES, ESTIMATOR, NUMBERS, PREPARE, as_categories

Link = Callable[[np.ndarray], np.ndarray]

ACTIVATIONS: dict[str, Link] = {
    "identity": lambda x: x,
    "logistic": expit,
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
}
FEW_ROWS = 1000
"""Up to so many rows any tables are faster than scikit-learn; for more rows only small ones are."""
SMALL_WORDS = 160


class NotCompiled(ValueError):
    """The pipeline holds something that is not known here; the message says what."""


@dataclass(frozen=True, slots=True)
class Number:
    """An input as the pipeline fills and scales it."""

    name: str
    median: float
    mean: float
    scale: float

    def filled(self, values: np.ndarray) -> np.ndarray:
        return np.where(np.isnan(values), self.median, values)


@dataclass(frozen=True, slots=True)
class Category:
    """An input by the number of each learned value; every other value has the number after the last."""

    name: str
    values: Mapping[str, int]

    def codes(self, given: Iterable[str]) -> np.ndarray:
        unknown = len(self.values)
        return np.array([self.values.get(value, unknown) for value in given], dtype=np.intp)

    def codes_of(self, given: pd.Series) -> np.ndarray:
        """The same for pandas categories, each of which is looked up once."""
        return self.codes(given.cat.categories)[given.cat.codes]


@dataclass(frozen=True, slots=True)
class Layers:
    """A linear model, or a network: the first layer is looked up for categories, the others are products."""

    of_numbers: np.ndarray
    of_categories: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]
    weights: tuple[np.ndarray, ...]
    activation: Link

    def total(self, numbers: Sequence[np.ndarray], codes: Sequence[np.ndarray]) -> np.ndarray:
        made = np.tile(self.biases[0], (len([*numbers, *codes][0]), 1))
        if numbers:
            made += np.column_stack(numbers) @ self.of_numbers
        for table, code in zip(self.of_categories, codes, strict=True):
            made += table[code]
        for weight, bias in zip(self.weights, self.biases[1:], strict=True):
            made = self.activation(made) @ weight + bias
        return made[:, 0]


@dataclass(frozen=True, slots=True)
class Compiled:
    """Answers as the pipeline does that it was made of; see ``compiled``."""

    numbers: tuple[Number, ...]
    categories: tuple[Category, ...]
    core: Tables | Layers
    links: tuple[Link, ...]
    """What becomes of the core's output, one after the other, up to the probability."""
    precise: bool
    """Whether the core compares numbers as they are; single trees and forests see what a 32-bit float keeps of them."""

    def suits(self, rows: int) -> bool:
        """Whether this is the faster way to so many scores."""
        return rows <= FEW_ROWS or isinstance(self.core, Layers) or len(self.core.offsets) <= SMALL_WORDS

    def score(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """Probability of the positive class, of shape (rows,), for columns as of ``derive``."""
        codes = [one.codes(columns[one.name]) for one in self.categories]
        return self._score([columns[one.name] for one in self.numbers], codes)

    def score_frame(self, frame: pd.DataFrame) -> np.ndarray:
        """The same for a frame."""
        made = as_categories(frame[[one.name for one in self.categories]])
        codes = [one.codes_of(made[one.name]) for one in self.categories]
        return self._score([frame[one.name].to_numpy() for one in self.numbers], codes)

    def _score(self, numbers: Sequence[np.ndarray], codes: Sequence[np.ndarray]) -> np.ndarray:
        filled = [one.filled(values) for one, values in zip(self.numbers, numbers, strict=True)]
        if isinstance(self.core, Tables):
            seen = filled if self.precise else [values.astype(np.float32).astype(np.float64) for values in filled]
            made = self.core.total([*self.core.bins(seen), *codes])
        else:
            scaled = [(values - one.mean) / one.scale for one, values in zip(self.numbers, filled, strict=True)]
            made = self.core.total(scaled, codes)
        for link in self.links:
            made = link(made)
        return made


def compiled(pipeline: Pipeline) -> Compiled:
    """``pipeline``, of ``prepare`` and ``estimator``, as arrays. Raises ``NotCompiled``."""
    core, calibrations = _core(pipeline[ESTIMATOR])
    inputs = _inputs(pipeline[PREPARE])
    match core:
        case LogisticRegression() | LinearSVC():
            made: Tables | Layers = _layers(inputs, [core.coef_.T], [core.intercept_], "identity")
        case MLPClassifier(out_activation_="logistic") if core.activation in ACTIVATIONS:
            made = _layers(inputs, core.coefs_, core.intercepts_, core.activation)
        case HistGradientBoostingClassifier(is_categorical_=None):
            made = _tables(inputs, [*_boosted(core)])
        case DecisionTreeClassifier():
            made = _tables(inputs, [_grown(core, 1)])
        case RandomForestClassifier():
            made = _tables(inputs, [_grown(one, len(core.estimators_)) for one in core.estimators_])
        case _:
            raise NotCompiled(f"{type(core).__name__} is not known here")
    # What has log-odds gives them to its calibrator, what has not its probability.
    odds = isinstance(core, LogisticRegression | HistGradientBoostingClassifier) and not calibrations
    links = (expit, *calibrations) if odds or isinstance(core, MLPClassifier) else tuple(calibrations)
    precise = not isinstance(core, DecisionTreeClassifier | RandomForestClassifier)
    return Compiled(inputs.numbers, inputs.categories, made, links, precise)


@dataclass(frozen=True, slots=True)
class _Inputs:
    """The inputs, and where each one's columns begin in the encoded rows, which are ``width`` wide."""

    numbers: tuple[Number, ...]
    categories: tuple[Category, ...]
    first: tuple[int, ...]
    width: int

    @property
    def one_hot(self) -> list[tuple[int, int]]:
        """First column and number of columns of each category."""
        starts = self.first[len(self.numbers) :]
        return [(start, len(one.values)) for start, one in zip(starts, self.categories, strict=True)]


def _inputs(prepare: ColumnTransformer) -> _Inputs:
    numbers: list[Number] = []
    categories: list[Category] = []
    first: list[int] = []
    for name, transformer, columns in prepare.transformers_:
        start = prepare.output_indices_[name].start
        if name == NUMBERS:
            imputer, *scaler = [step for _, step in getattr(transformer, "steps", [("", transformer)])]
            medians = np.nan_to_num(imputer.statistics_)
            means, scales = (scaler[0].mean_, scaler[0].scale_) if scaler else (0 * medians, 1 + 0 * medians)
            numbers += map(Number, columns, medians, means, scales)
            first += range(start, start + len(columns))
        elif name == CATEGORIES:
            for column, learned in zip(columns, transformer.categories_, strict=True):
                categories.append(Category(column, {value: code for code, value in enumerate(learned)}))
                first.append(start)
                start += len(learned)
        else:
            raise NotCompiled(f"the branch {name} is not known here")
    width = max(part.stop for part in prepare.output_indices_.values())
    return _Inputs(tuple(numbers), tuple(categories), tuple(first), width)


def _core(estimator: Any) -> tuple[Any, list[Link]]:
    """The estimator without its calibrations, and these, the innermost first."""
    links: list[Link] = []
    while isinstance(estimator, CalibratedClassifierCV):
        if len(estimator.calibrated_classifiers_) != 1:
            raise NotCompiled("several calibrated models are not known here")
        (wrapped,) = estimator.calibrated_classifiers_
        (calibrator,) = wrapped.calibrators
        links.insert(0, _calibration(calibrator))
        estimator = wrapped.estimator
    return estimator, links


def _calibration(calibrator: Any) -> Link:
    match calibrator:
        case _SigmoidCalibration():
            slope, offset = float(calibrator.a_), float(calibrator.b_)
            return lambda x: expit(-(slope * x + offset))
        case IsotonicRegression(out_of_bounds="clip"):
            places, heights = calibrator.X_thresholds_, calibrator.y_thresholds_
            return lambda x: np.interp(x, places, heights)
        case _:
            raise NotCompiled(f"{type(calibrator).__name__} is not known here")


def _layers(inputs: _Inputs, weights: Sequence[np.ndarray], biases: Sequence[np.ndarray], activation: str) -> Layers:
    first = weights[0]
    none = np.zeros((1, first.shape[1]))
    return Layers(
        of_numbers=first[list(inputs.first[: len(inputs.numbers)])],
        of_categories=tuple(np.vstack([first[start : start + size], none]) for start, size in inputs.one_hot),
        biases=tuple(biases),
        weights=tuple(weights[1:]),
        activation=ACTIVATIONS[activation],
    )


def _tables(inputs: _Inputs, trees: Sequence[Tree]) -> Tables:
    edges = {column: np.unique([*_thresholds(trees, column)]) for column in inputs.first[: len(inputs.numbers)]}
    values = [_encoded(inputs.width, column, np.append(found, np.inf)[:, None]) for column, found in edges.items()]
    for start, size in inputs.one_hot:
        values.append(_encoded(inputs.width, start, np.vstack([np.eye(size), np.zeros((1, size))])))
    try:
        return lookup.tables(trees, values, list(edges.values()))
    except TooLarge as problem:
        raise NotCompiled(str(problem)) from problem


def _thresholds(trees: Sequence[Tree], column: int) -> Iterator[float]:
    for tree in trees:
        yield from tree.threshold[tree.feature == column]


def _encoded(width: int, start: int, values: np.ndarray) -> np.ndarray:
    """``values`` in their columns of the encoded rows, NaN in the others."""
    made = np.full((len(values), width), np.nan)
    made[:, start : start + values.shape[1]] = values
    return made


def _boosted(model: HistGradientBoostingClassifier) -> Iterator[Tree]:
    """The sum of the values is in log-odds; the first tree carries what all of them start from."""
    base = float(np.ravel(model._baseline_prediction)[0])
    for (predictor,) in model._predictors:
        nodes = predictor.nodes
        feature = np.where(nodes["is_leaf"], -1, nodes["feature_idx"].astype(int))
        yield Tree(feature, nodes["num_threshold"], nodes["left"], nodes["right"], nodes["value"] + base)
        base = 0.0


def _grown(model: DecisionTreeClassifier, trees: int) -> Tree:
    """The values of all trees add up to the mean of their probabilities."""
    tree = model.tree_
    feature = np.where(tree.children_left < 0, -1, tree.feature)
    return Tree(feature, tree.threshold, tree.children_left, tree.children_right, tree.value[:, 0, 1] / trees)

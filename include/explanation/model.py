"""A model as explanations see it: which number is explained, by which method, and which columns belong to an input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.tree import DecisionTreeClassifier

from include.training.preparation import CATEGORIES, ESTIMATOR, PREPARE, transform

Unit = Literal["log-odds", "probability"]
Method = Literal["linear", "tree", "sampled"]


@dataclass(frozen=True)
class Explained:
    """The estimator works on encoded columns, of which a category has several; ``groups`` says whose each one is.

    Encoding changes each input by itself, so a row that is mixed from two rows can be mixed after it.
    """

    pipeline: Pipeline

    @property
    def estimator(self) -> Any:
        return self.pipeline[ESTIMATOR]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The inputs, in the model's order."""
        return tuple(self.pipeline.feature_names_in_)

    @cached_property
    def method(self) -> Method:
        return _kind(self.estimator)[0]

    @cached_property
    def unit(self) -> Unit:
        return _kind(self.estimator)[1]

    @cached_property
    def groups(self) -> np.ndarray:
        """The number of the input that each encoded column belongs to, of shape (encoded columns,)."""
        prepare = self.pipeline[PREPARE]
        groups = np.empty(max(part.stop for part in prepare.output_indices_.values()), dtype=np.intp)
        for name, transformer, columns in prepare.transformers_:
            inputs = [self.names.index(column) for column in columns]
            widths = [len(found) for found in transformer.categories_] if name == CATEGORIES else 1
            groups[prepare.output_indices_[name]] = np.repeat(inputs, widths)
        return groups

    def encode(self, frame: pd.DataFrame) -> np.ndarray:
        """Inputs as the estimator takes them, of shape (rows, encoded columns)."""
        return transform(self.pipeline[PREPARE], frame[list(self.names)])

    def output(self, encoded: np.ndarray) -> np.ndarray:
        """The number that is explained, in ``unit``, of shape (rows,)."""
        return self.estimator.decision_function(encoded) if self.unit == "log-odds" else self.score(encoded)

    def score(self, encoded: np.ndarray) -> np.ndarray:
        """Probability of the positive class, of shape (rows,)."""
        return self.estimator.predict_proba(encoded)[:, 1]


def _kind(estimator: Any) -> tuple[Method, Unit]:
    """The one place that knows kinds of estimators: what is not exactly explained here is explained by sampling."""
    match estimator:
        case LogisticRegression():
            return "linear", "log-odds"
        # Trees with native categorical splits are not walked here, where every split is a threshold.
        case HistGradientBoostingClassifier(is_categorical_=None):
            return "tree", "log-odds"
        case DecisionTreeClassifier() | RandomForestClassifier():
            return "tree", "probability"
        case _:
            return "sampled", "probability"


Output = Callable[[np.ndarray], np.ndarray]

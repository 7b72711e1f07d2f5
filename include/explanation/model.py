"""A model as explanations see it: which number is explained, by which method, and which columns belong to an input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from include.training.preparation import CATEGORIES, ESTIMATOR, PREPARE, transform

Method = Literal["linear", "tree", "sampled"]
Unit = str
"""Log-odds, probability or margin; of a calibrated model that is explained exactly, with *before calibration*."""


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
    def core(self) -> Any:
        """The estimator without its calibration, which changes the scores and not their order.

        Explained exactly is what the core gives: a sum over inputs or trees, which a calibrated score is not.
        """
        core = self.estimator
        while isinstance(core, CalibratedClassifierCV) and len(core.calibrated_classifiers_) == 1:
            core = core.calibrated_classifiers_[0].estimator
        return core

    @cached_property
    def method(self) -> Method:
        return _kind(self.core)[0]

    @cached_property
    def unit(self) -> Unit:
        unit = _kind(self.core)[1]
        exact = self.method != "sampled"
        return f"{unit} before calibration" if exact and self.core is not self.estimator else unit

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
        if self.method == "sampled":
            return self.score(encoded)
        if _kind(self.core)[1] == "probability":
            return self.core.predict_proba(encoded)[:, 1]
        return self.core.decision_function(encoded)

    def score(self, encoded: np.ndarray) -> np.ndarray:
        """Probability of the positive class, of shape (rows,)."""
        return self.estimator.predict_proba(encoded)[:, 1]


def _kind(core: Any) -> tuple[Method, Unit]:
    """The one place that knows kinds of estimators: what is not exactly explained here is explained by sampling."""
    match core:
        case LogisticRegression():
            return "linear", "log-odds"
        case LinearSVC():
            return "linear", "margin"
        # Trees with native categorical splits are not walked here, where every split is a threshold.
        case HistGradientBoostingClassifier(is_categorical_=None):
            return "tree", "log-odds"
        case DecisionTreeClassifier() | RandomForestClassifier():
            return "tree", "probability"
        case _:
            return "sampled", "probability"


Output = Callable[[np.ndarray], np.ndarray]

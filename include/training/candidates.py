"""The kinds of models, each a pipeline of scikit-learn classes only, so that it loads without running code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sklearn.base import ClassifierMixin
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from include.spec import Candidate, SpecError
from include.training.preparation import CATEGORIES, ESTIMATOR, NUMBERS, PREPARE

ESTIMATORS: dict[str, tuple[type[ClassifierMixin], dict[str, Any]]] = {
    "logistic_regression": (LogisticRegression, {"max_iter": 1000}),
    "decision_tree": (DecisionTreeClassifier, {}),
    # Early stopping would hold out random rows, across days.
    "hist_gradient_boosting": (HistGradientBoostingClassifier, {"early_stopping": False}),
}


def make(candidate: Candidate, feature_types: Mapping[str, str], params: Mapping[str, Any], seed: int) -> Pipeline:
    """An unfitted pipeline ``prepare`` → ``estimator``; ``params`` win over ``candidate.params``.

    Categories are encoded before the estimator: converters and explainers ignore native categorical splits without an
    error. Raises ``SpecError`` for a parameter the estimator does not have.
    """
    estimator_class, defaults = ESTIMATORS[candidate.kind]
    settings = {**defaults, **candidate.params, **params, "random_state": seed}
    try:
        estimator = estimator_class(**settings)
    except TypeError as error:
        raise SpecError(f"training.candidates: {candidate.kind}: {error}") from error
    prepare = _prepare(feature_types, scale=candidate.kind == "logistic_regression")
    return Pipeline([(PREPARE, prepare), (ESTIMATOR, estimator)])


def _prepare(feature_types: Mapping[str, str], *, scale: bool) -> ColumnTransformer:
    numbers = [name for name, kind in feature_types.items() if kind == "number"]
    categories = [name for name, kind in feature_types.items() if kind == "category"]
    # A column that is empty in an early fold must not change the number of inputs.
    imputer = SimpleImputer(strategy="median", keep_empty_features=True)
    branches = [
        (NUMBERS, make_pipeline(imputer, StandardScaler()) if scale else imputer, numbers),
        (CATEGORIES, OneHotEncoder(handle_unknown="ignore", sparse_output=False), categories),
    ]
    return ColumnTransformer([branch for branch in branches if branch[2]])

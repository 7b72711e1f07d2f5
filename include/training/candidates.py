"""The kinds of models, each a pipeline of scikit-learn classes only, so that it loads without running code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sklearn.base import ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils._param_validation import InvalidParameterError

from include.spec import Candidate, SpecError
from include.spec.training import FIXED
from include.training.preparation import CATEGORIES, ESTIMATOR, NUMBERS, PREPARE

ESTIMATORS: dict[str, tuple[type[ClassifierMixin], dict[str, Any]]] = {
    "logistic_regression": (LogisticRegression, {"max_iter": 1000}),  # its penalty is the ridge (L2), weighted by 1 / C
    "decision_tree": (DecisionTreeClassifier, {}),
    # Leaves of single rows would make a package of hundreds of megabytes.
    "random_forest": (RandomForestClassifier, {"min_samples_leaf": 20}),
    # Early stopping would hold out random rows, across days.
    "hist_gradient_boosting": (HistGradientBoostingClassifier, {"early_stopping": False}),
    "linear_svm": (LinearSVC, {}),
    # Ends when an epoch hardly lowers the loss on the training rows.
    "mlp": (
        MLPClassifier,
        {"hidden_layer_sizes": 16, "learning_rate_init": 0.003, "max_iter": 1000, "tol": 1e-3, "n_iter_no_change": 3},
    ),
}
SCALED = frozenset({"logistic_regression", "linear_svm", "mlp"})
"""Kinds that take a number in another unit for another number."""
SVM_BLOCKS = 3


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
    if candidate.kind == "linear_svm":
        # It has no probabilities: a sigmoid makes them, fitted to the margins of each block of rows in the order of
        # time by what was learned from the other blocks.
        estimator = CalibratedClassifierCV(estimator, method="sigmoid", cv=SVM_BLOCKS, ensemble=False)
    prepare = _prepare(feature_types, scale=candidate.kind in SCALED)
    return Pipeline([(PREPARE, prepare), (ESTIMATOR, estimator)])


def refusals(candidate: Candidate) -> Iterator[str]:
    """What the estimator refuses of the candidate's settings, each with its place; found without any data."""
    estimator_class, _ = ESTIMATORS[candidate.kind]
    parameters = set(estimator_class().get_params()) - set(FIXED)
    for part, name, value in candidate.settings:
        if name not in parameters:
            known = ", ".join(sorted(parameters))
            yield f"{part}.{name}: {estimator_class.__name__} has no such parameter; it has {known}"
            continue
        try:
            estimator_class(**{name: value})._validate_params()
        except InvalidParameterError as refusal:
            yield f"{part}.{name}: {refusal}"


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

"""A fitted model of each kind on Telco, its background, and rows that it was not trained on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline
from sklearn.svm import LinearSVC

from include.explanation.model import Explained
from include.features.build import build
from include.spec import UseCase
from include.training.calibration import calibrate
from include.training.preparation import ESTIMATOR, PREPARE, as_categories, probability, transform
from include.training.search import fit

TRAINED = 5000


@dataclass(frozen=True)
class Telco:
    """Model inputs and labels; the first ``TRAINED`` rows are those that the models know."""

    inputs: pd.DataFrame
    labels: np.ndarray

    @property
    def training(self) -> pd.DataFrame:
        return self.inputs.iloc[:TRAINED]

    @property
    def holdout(self) -> pd.DataFrame:
        return self.inputs.iloc[TRAINED:]


@pytest.fixture(scope="session")
def telco(telco_csv: Path, churn: UseCase) -> Telco:
    rows = pd.read_csv(telco_csv, dtype={"SeniorCitizen": str})
    rows["TotalCharges"] = pd.to_numeric(rows["TotalCharges"], errors="coerce")
    return Telco(as_categories(build(rows, churn)), (rows["Churn"] == "Yes").to_numpy().astype(int))


PARAMS = {
    "logistic_regression": {"C": 0.3},
    "decision_tree": {"max_depth": 6, "min_samples_leaf": 20},
    "random_forest": {"n_estimators": 30},
    "gradient_boosting": {"max_leaf_nodes": 12, "learning_rate": 0.06},
    "linear_svm": {"C": 0.1},
    "mlp": {"hidden_layer_sizes": 8},
}
"""Of the use case's own candidates."""
OTHERS: dict[str, ClassifierMixin] = {
    "svm_ensemble": CalibratedClassifierCV(LinearSVC(random_state=0), cv=3),
    "native_categories": HistGradientBoostingClassifier(max_iter=20, random_state=0, categorical_features=[10, 40]),
}
"""What no candidate is, and has to be explained all the same."""
CALIBRATED = {
    "calibrated_boosting": "gradient_boosting",
    "calibrated_forest": "random_forest",
    "calibrated_svm": "linear_svm",
    "calibrated_mlp": "mlp",
}
KINDS = [*PARAMS, *OTHERS, *CALIBRATED]


@pytest.fixture(scope="session")
def models(telco: Telco, churn: UseCase) -> dict[str, Explained]:
    labels = telco.labels[:TRAINED]
    made = {
        name: fit(telco.training, labels, churn.training.candidates[name], params, churn)
        for name, params in PARAMS.items()
    }
    prepare = made["logistic_regression"][PREPARE]
    encoded = transform(prepare, telco.training)
    for name, estimator in OTHERS.items():
        made[name] = Pipeline([(PREPARE, prepare), (ESTIMATOR, estimator.fit(encoded, labels))])
    for name, of in CALIBRATED.items():
        made[name] = _calibrated(made[of], telco)
    return {name: Explained(pipeline) for name, pipeline in made.items()}


def _calibrated(pipeline: Pipeline, telco: Telco) -> Pipeline:
    """To labels of which half the positive ones are missing, so that it helps."""
    folds = np.array_split(np.arange(TRAINED, len(telco.labels)), 3)
    validated = tuple((rows, probability(pipeline, telco.inputs.iloc[rows])) for rows in folds)
    calibrated, found = calibrate(pipeline, "sigmoid", validated, telco.labels * (np.arange(len(telco.labels)) % 2))
    assert found.method == "sigmoid"
    return calibrated


@pytest.fixture(scope="session")
def model(models: dict[str, Explained], request: pytest.FixtureRequest) -> Explained:
    """The model of the kind that the test is parametrised with."""
    return models[request.param]

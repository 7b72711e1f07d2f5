"""Choose a candidate's settings by time-ordered cross-validation on the training rows alone."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import ParameterGrid, ParameterSampler
from sklearn.pipeline import Pipeline

from include.errors import DataRejected
from include.evaluation.metrics import single
from include.spec import LOWER_IS_BETTER, Candidate, UseCase
from include.training.candidates import make
from include.training.preparation import ESTIMATOR, PREPARE, as_categories, fit_prepare, transform
from include.training.split import Fold, time_folds

Params = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TrialScore:
    """One setting: its score on each fold and their mean, in the units of the selection metric."""

    params: Params
    mean: float
    folds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The best of the settings tried. ``params`` are the drawn ones, to be given to ``fit``."""

    params: Params
    score: float
    scores_per_trial: tuple[TrialScore, ...]
    seconds: float


def search(
    frame: pd.DataFrame, labels: np.ndarray, observed_at: pd.Series, candidate: Candidate, spec: UseCase
) -> SearchResult:
    """Try ``candidate.trials`` seeded settings on ``frame`` (rows, features); the first of equals wins.

    ``labels`` are 0 or 1, of shape (rows,). Raises ``DataRejected`` (``TOO_FEW_DAYS``, ``ONE_CLASS_FOLD``).
    """
    started = time.perf_counter()
    metric = spec.training.selection_metric
    folds = time_folds(observed_at, spec.training.split.folds)
    _require_both_classes(labels, folds)
    settings = draw(candidate, spec)
    frame = as_categories(frame)
    scores = zip(*(_try(frame, labels, fold, candidate, settings, spec) for fold in folds), strict=True)
    trials = [TrialScore(params, float(np.mean(one)), one) for params, one in zip(settings, scores, strict=True)]
    best = (min if metric in LOWER_IS_BETTER else max)(trials, key=lambda trial: trial.mean)
    return SearchResult(best.params, best.mean, tuple(trials), time.perf_counter() - started)


def draw(candidate: Candidate, spec: UseCase) -> list[Params]:
    """The settings to try: without repeats, the same for the same seed."""
    grid = {name: list(values) for name, values in candidate.search.items()}
    trials = min(candidate.trials, len(ParameterGrid(grid)))
    return list(ParameterSampler(grid, trials, random_state=spec.training.seed))


def fit(frame: pd.DataFrame, labels: np.ndarray, candidate: Candidate, params: Params, spec: UseCase) -> Pipeline:
    """The candidate with these settings, fitted on every row of ``frame``."""
    pipeline = make(candidate, spec.feature_types, params, spec.training.seed)
    pipeline[ESTIMATOR].fit(fit_prepare(pipeline[PREPARE], frame), labels)
    return pipeline


def _try(
    frame: pd.DataFrame,
    labels: np.ndarray,
    fold: Fold,
    candidate: Candidate,
    settings: list[Params],
    spec: UseCase,
) -> list[float]:
    """The score of each setting on one fold, whose rows are prepared once for all of them."""
    train, valid = fold
    prepare = make(candidate, spec.feature_types, {}, spec.training.seed)[PREPARE]
    known, unknown = fit_prepare(prepare, frame.iloc[train]), transform(prepare, frame.iloc[valid])
    scores = []
    for params in settings:
        estimator = make(candidate, spec.feature_types, params, spec.training.seed)[ESTIMATOR]
        predicted = estimator.fit(known, labels[train]).predict_proba(unknown)[:, 1]
        scores.append(single(spec.training.selection_metric, labels[valid], predicted))
    return scores


def _require_both_classes(labels: np.ndarray, folds: list[Fold]) -> None:
    for number, rows in enumerate(folds, start=1):
        if any(len(np.unique(labels[part])) < 2 for part in rows):
            raise DataRejected(
                "ONE_CLASS_FOLD", f"fold {number} has rows of one class only; lower training.split.folds or add days"
            )

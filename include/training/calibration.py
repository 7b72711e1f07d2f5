"""Probabilities brought closer to the rates that were seen, where that helps.

A calibrator learns from the scores that the chosen settings gave in the folds: of training rows alone, each from days
after those that the score was learned from. Whether it helps is measured in the folds, too, on days after those that
the calibrator has seen. A. Niculescu-Mizil and R. Caruana, "Predicting Good Probabilities With Supervised Learning",
ICML 2005, compare both methods.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import logit
from sklearn.base import ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV, _CalibratedClassifier, _SigmoidCalibration
from sklearn.isotonic import IsotonicRegression
from sklearn.pipeline import Pipeline

from include.evaluation.metrics import single
from include.training.preparation import ESTIMATOR, PREPARE

Calibrated = Literal["none", "sigmoid", "isotonic"]

TRIED: dict[str, tuple[Calibrated, ...]] = {
    "none": (),
    "sigmoid": ("sigmoid",),
    "isotonic": ("isotonic",),
    "auto": ("sigmoid", "isotonic"),
}
"""What each value of the spec's ``calibration`` tries."""
LEAST_GAIN = 1e-4
"""A Brier score that is lower by less follows chance, and is not worth another step in each score."""
NEARLY_SURE = 1e-15

Validated = tuple[tuple[np.ndarray, np.ndarray], ...]


@dataclass(frozen=True, slots=True)
class Calibration:
    """``method`` is the one that is used, or *none*; ``brier`` has the score of each that was tried, and of *none*.

    It is the mean over the folds but the first, and empty when the spec asks for none.
    """

    method: Calibrated
    brier: dict[Calibrated, float]


def calibrate(pipeline: Pipeline, asked: str, validated: Validated, labels: np.ndarray) -> tuple[Pipeline, Calibration]:
    """``pipeline`` with the best of the calibrators that ``asked`` names, or as it is if none helps.

    ``validated`` are, fold by fold, row positions and their probabilities; ``labels`` are 0 or 1, of shape (rows,).
    """
    estimator = pipeline[ESTIMATOR]
    folds = [(_responses(estimator, scores), labels[rows]) for rows, scores in validated]
    tried = {method: _brier(method, folds) for method in TRIED[asked]}
    if not tried:
        return pipeline, Calibration("none", {})
    uncalibrated = [single("brier", labels[rows], scores) for rows, scores in validated[1:]]
    brier: dict[Calibrated, float] = {"none": float(np.mean(uncalibrated)), **tried}
    best = min(tried, key=tried.__getitem__)
    if brier[best] > brier["none"] - LEAST_GAIN:
        return pipeline, Calibration("none", brier)
    wrapped = _wrapped(estimator, best, _fitted(best, folds))
    return Pipeline([(PREPARE, pipeline[PREPARE]), (ESTIMATOR, wrapped)]), Calibration(best, brier)


def calibrated(pipeline: Pipeline, method: Calibrated, scores: np.ndarray) -> np.ndarray:
    """What the calibrator of ``pipeline`` makes of probabilities that came without it, both of shape (rows,)."""
    if method == "none":
        return scores
    (wrapped,) = pipeline[ESTIMATOR].calibrated_classifiers_
    (calibrator,) = wrapped.calibrators
    return np.asarray(calibrator.predict(_responses(wrapped.estimator, scores)))


def _responses(estimator: ClassifierMixin, scores: np.ndarray) -> np.ndarray:
    """What scikit-learn gives the calibrator of ``estimator``: its log-odds if it has them, else its probabilities."""
    return logit(np.clip(scores, NEARLY_SURE, 1 - NEARLY_SURE)) if hasattr(estimator, "decision_function") else scores


def _brier(method: Calibrated, folds: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """Of each fold but the first, by a calibrator that learned from the folds before it."""
    scores = [
        single("brier", labels, _fitted(method, folds[:number]).predict(responses))
        for number, (responses, labels) in enumerate(folds)
        if number
    ]
    return float(np.mean(scores))


def _fitted(method: Calibrated, folds: list[tuple[np.ndarray, np.ndarray]]) -> _SigmoidCalibration | IsotonicRegression:
    calibrator = _SigmoidCalibration() if method == "sigmoid" else IsotonicRegression(out_of_bounds="clip")
    responses, labels = (np.concatenate(parts) for parts in zip(*folds, strict=True))
    return calibrator.fit(responses, labels)


def _wrapped(
    estimator: ClassifierMixin, method: Calibrated, calibrator: _SigmoidCalibration | IsotonicRegression
) -> CalibratedClassifierCV:
    """As scikit-learn's own fit leaves it; that one cannot be given folds in which the oldest rows are not scored."""
    wrapped = CalibratedClassifierCV(clone(estimator), method=method, ensemble=False)
    wrapped.classes_ = estimator.classes_
    wrapped.n_features_in_ = estimator.n_features_in_
    wrapped.calibrated_classifiers_ = [
        _CalibratedClassifier(estimator, [calibrator], method=method, classes=estimator.classes_)
    ]
    return wrapped
